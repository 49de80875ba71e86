//! Translates Kubernetes Services into Envoy resources, purely and synchronously: no IO, no clock.
//!
//! The way of a change through this crate:
//!
//! 1. [`read`] turns a Kubernetes object into a compact, validated [`model`] object; what is wrong
//!    with it becomes [`Problem`]s.
//! 2. [`Translator::apply`] puts it into the index, which joins Services, EndpointSlices and Nodes
//!    and marks the Services that the change concerns.
//! 3. [`Translator::flush`] plans those Services whole, makes resources of the plans, and yields
//!    those of each [`Origin`] as one [`Replace`], spread over [`Layer`]s.
//! 4. A proxy sees the layers that [`Translator::place`] lists for its [`View`].
//!
//! Beside that, [`diff`] compares two worlds by what proxies would be sent from them.
//!
//! A folder uses those after it in this list, and none before it: `translator`, `units`, `envoy`,
//! `plan`, `place`, `index`, `policy`, `model`, with `read` beside `model`. What lies in no folder
//! is for all of them.

mod change;
mod envoy;
mod index;
mod kinds;
mod options;
mod place;
mod plan;
mod policy;
mod problem;
mod translator;
mod units;
mod view;

pub mod model;
pub mod names;
pub mod read;

pub use change::{Change, NoObject, ObjectId, Origin, Replace};
pub use ipnet::IpNet;
pub use kinds::{KindInfo, Object, ObjectKind, ReadWith, version_path};
pub use model::{Fleet, Import, ImportTable, Imports, status};
pub use options::{
    Capture, ExternalIps, ExternalNamePolicy, NodePortAddresses, OptionError, Options,
};
pub use plan::explain::answer::{
    AddressFact, Answer, Basis, EndpointRow, Fact, PortFacts, Section, Taken,
};
pub use plan::explain::question::{PortRef, Question, QuestionError, Request, Scheme};
pub use plan::explain::summary::{Served, ServiceSummary, ServiceType, Unserved};
pub use plan::explain::viewpoint::{Client, Viewpoint};
pub use problem::{Problem, Reason, Severity, Subject};
pub use translator::{Snapshot, Standing, Translator, diff, translate_once, translate_targets};
pub use view::{CertificateDelivery, Layer, Role, View};
