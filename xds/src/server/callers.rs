//! Authentication of the callers of streams, and of the services beside them.

use std::sync::Arc;

use tonic::Status;

use crate::guard::identity::{Authenticated, Caller};
use crate::guard::identity_limits::StreamPermit;
use crate::guard::liveness::Connection;
use crate::server::{Admit, Shared};

/// An authenticated caller that is not admitted yet: its permissions, and the permit of its stream.
pub(crate) struct AuthenticatedCaller<P> {
    pub(crate) permissions: P,
    pub(crate) permit: Option<StreamPermit>,
    /// Whether it may look at all clients.
    pub(crate) inspects: bool,
}

impl<P> AuthenticatedCaller<P> {
    /// The name of the verified identity, if callers are asked for one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.permit.as_ref().map(|permit| &**permit.name())
    }
}

impl<A: Admit> Shared<A> {
    /// Authenticates a caller, before any request is read. A connection whose only stream is
    /// refused ends: further guesses would be cheap on it.
    pub(crate) async fn authenticate(
        &self,
        connection: &Arc<Connection>,
        caller: Caller<'_>,
    ) -> Result<AuthenticatedCaller<A::Permissions>, Status> {
        let refused = |identity: Option<&str>, status: &Status| {
            self.denied(caller.peer, identity, status);
            connection.refused();
        };
        let authenticated = self.admit.authenticate(caller).await;
        let Authenticated {
            identity,
            permissions,
            inspects,
        } = authenticated.inspect_err(|status| refused(None, status))?;
        let mut entrant = AuthenticatedCaller {
            permissions,
            permit: None,
            inspects,
        };
        if let Some(identity) = identity {
            let refused = |status: &Status| refused(Some(&identity.name), status);
            let permit = self.identities.enter(&identity, connection);
            let permit = permit.inspect_err(refused)?;
            connection.validity.rest_on(&identity);
            entrant.permit = Some(permit);
        }
        Ok(entrant)
    }
}
