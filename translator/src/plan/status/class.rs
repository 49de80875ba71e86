//! The status of a GatewayClass (Gateway rule 6).

use super::{ACCEPTED, Conditions, Context};
use crate::ObjectId;
use crate::policy::gateway::{class_refusal, is_class_ours};
use crate::status::Status;

pub(super) fn of(context: &Context<'_>, id: &ObjectId) -> Option<Status> {
    let class = context.index.routing().gateway_class(&id.name);
    let class = class.filter(|class| is_class_ours(class))?;
    let mut conditions = Conditions::new(class.generation);
    let refused = class_refusal(class);
    let refused = refused.map(|(reason, why)| (reason.as_str(), why.to_owned()));
    conditions.judge(
        ACCEPTED,
        refused,
        (ACCEPTED, "Gateways of this class are served"),
    );
    Some(Status::GatewayClass(conditions.all))
}
