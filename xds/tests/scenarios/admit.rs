//! Who is let in.

use std::sync::{Arc, Mutex};

use seaway_proto::TypeUrl;
use seaway_proto::envoy::core::Node;
use seaway_xds::{
    Admission, Admit, Authenticated, Caller, Dialect, Identity, OnDemand, PlacementId,
};
use tokio::sync::watch;
use tonic::Status;

use crate::codec::PROOF;

/// Admits everyone to the one placement, while it is open, and asks nobody for a proof. Who has one
/// counts as what it says.
pub(crate) struct Door {
    pub(crate) open: watch::Receiver<bool>,
    pub(crate) known: Arc<Mutex<Known>>,
}

/// Who may look at all clients.
pub(crate) const INSPECTOR: &str = "inspector";

/// Who the door knows, if anybody.
#[derive(Default)]
pub(crate) struct Known {
    /// If there are any, only they are let in.
    pub(crate) identities: Vec<Identity>,
    /// What none of them may ask for.
    pub(crate) forbidden: &'static [TypeUrl],
    /// What is made for them when they ask for it.
    pub(crate) on_demand: Option<OnDemand>,
}

/// Somebody of this name.
pub(crate) fn identity(name: &str) -> Identity {
    Identity {
        name: name.into(),
        principal: name.into(),
        kind: "token",
        expires: None,
        revoked: None,
    }
}

impl Admit for Door {
    type Permissions = &'static [TypeUrl];

    async fn authenticate(
        &self,
        caller: Caller<'_>,
    ) -> Result<Authenticated<Self::Permissions>, Status> {
        let proof = caller.headers.get(PROOF).map(|name| name.to_str().unwrap());
        let known = self.known.lock().unwrap();
        let identity = match known.identities.as_slice() {
            [] => proof.map(identity),
            all => {
                let found = all.iter().find(|known| Some(&*known.name) == proof);
                let stranger = || Status::unauthenticated("nobody knows you");
                Some(found.cloned().ok_or_else(stranger)?)
            }
        };
        Ok(Authenticated {
            identity,
            permissions: known.forbidden,
            inspects: proof == Some(INSPECTOR),
        })
    }

    async fn admit(
        &self,
        forbidden: &&'static [TypeUrl],
        _: &Node,
        _: Dialect,
    ) -> Result<Admission, Status> {
        let mut door = self.open.clone();
        door.wait_for(|open| *open).await.unwrap();
        Ok(Admission {
            placement: PlacementId(0),
            forbidden,
            on_demand: self.known.lock().unwrap().on_demand.clone(),
            about: vec![("zone", "a".into())],
            lease: Box::new(()),
        })
    }
}
