//! A connection to a port of a pod, through the API server, as `kubectl port-forward` has it.

use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Portforwarder;
use kube::client::UpgradeConnectionError;
use kube::{Api, Error};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::kube::client::Client;
use crate::kube::wire::Failure;

/// A port of a pod.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    client: Client,
    namespace: String,
    pod: String,
    port: u16,
}

/// A connection to a port of a pod.
pub(crate) struct Forwarded {
    stream: DuplexStream,
    through: Portforwarder,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

impl Forward {
    pub(super) fn new(client: Client, namespace: String, pod: String, port: u16) -> Forward {
        Forward {
            client,
            namespace,
            pod,
            port,
        }
    }

    /// The name of the pod.
    pub(crate) fn pod(&self) -> &str {
        &self.pod
    }

    /// Connects.
    ///
    /// # Errors
    /// The API server does not forward the port.
    pub(crate) async fn connect(&self) -> anyhow::Result<Forwarded> {
        let client = self.client.connections().await;
        let pods: Api<Pod> = Api::namespaced(client, &self.namespace);
        let place = || format!("port-forward to pod {}/{}", self.namespace, self.pod);
        let forwarded = pods.portforward(&self.pod, &[self.port]).await;
        let mut through = forwarded
            .map_err(|error| refused(error, &self.namespace))
            .with_context(place)?;
        let stream = through.take_stream(self.port).with_context(place)?;
        Ok(Forwarded { stream, through })
    }
}

/// What it means that the API server does not begin to forward.
fn refused(error: Error, namespace: &str) -> anyhow::Error {
    let failure = match error {
        Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => {
            Failure::Refused {
                code: code.as_u16(),
                message: format!("the API server answers {code}"),
                after: None,
            }
        }
        error => Failure::from(error),
    };
    match failure {
        _ if failure.is_forbidden() => anyhow!(
            "forbidden: it takes the permissions to get and to create pods/portforward in namespace {namespace}"
        ),
        _ if failure.is_not_found() => anyhow!("there is no such pod any more"),
        Failure::Refused { message, .. } => anyhow!(message),
        failure => anyhow!(failure),
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.through.abort();
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_the_api_server_refuses_is_said_by_what_to_do_about_it() {
        let said = |error: Error| refused(error, "seaway").to_string();
        let switch = |code: StatusCode| UpgradeConnectionError::ProtocolSwitch(code);
        let switch = |code| said(Error::UpgradeConnection(switch(code)));
        let api = |code| {
            said(Error::Api(
                Status::failure("no", "").with_code(code).boxed(),
            ))
        };
        for forbidden in [switch(StatusCode::FORBIDDEN), api(403)] {
            assert!(forbidden.ends_with("pods/portforward in namespace seaway"));
        }
        for gone in [switch(StatusCode::NOT_FOUND), api(404)] {
            assert_eq!(gone, "there is no such pod any more");
        }
        let bad = "the API server answers 400 Bad Request";
        assert_eq!([switch(StatusCode::BAD_REQUEST), api(500)], [bad, "no"]);
    }
}
