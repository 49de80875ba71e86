//! Seaway's xDS server beside a bare gRPC server and other xDS crates, on one workload and one
//! machine.
//!
//! - [`world`]: the resources that all servers serve, in which a changed assignment carries the
//!   time of its change,
//! - [`objects`]: the same as Kubernetes objects,
//! - [`control`]: how a server process is told to start, to change something and to end,
//! - [`raw`]: a gRPC service over bytes that are encoded already, for the servers that bring no
//!   service of their own,
//! - [`load`]: the client: any number of streams, each on a connection of its own, counting and
//!   timing what arrives,
//! - [`run`]: starts servers in turns, drives both ends, and prints medians and ratios.

pub mod clock;
pub mod control;
pub mod load;
pub mod objects;
pub mod pb;
pub mod raw;
pub mod run;
pub mod world;
