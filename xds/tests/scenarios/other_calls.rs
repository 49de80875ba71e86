//! Calls of services that are none of xDS, on the same port.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use seaway_proto::envoy::core::{Address, Pipe, address};
use seaway_xds::{Answers, OtherCaller, OtherCalls, ServerConfig};
use tonic::{Code, Status};

use crate::codec::{PROOF, Stream, open_with, try_open};
use crate::world::World;

/// Tells whoever has a proof two messages, and then nothing.
#[derive(Debug)]
struct Echo;

impl OtherCalls for Echo {
    fn answer(&self, path: &str, caller: OtherCaller) -> Option<Answers> {
        if path != "/test.Other/Tell" {
            return None;
        }
        let proof = caller.caller().headers.get(PROOF).cloned();
        let Some(proof) = proof else {
            let refused = Status::permission_denied("no proof");
            return Some(stream::iter([Err(refused)]).boxed());
        };
        let message = |text: &str| {
            let pipe = Pipe {
                path: text.to_owned(),
                ..Pipe::default()
            };
            let address = Address {
                address: Some(address::Address::Pipe(pipe)),
            };
            Ok(Bytes::from(prost::Message::encode_to_vec(&address)))
        };
        let proof = proof.to_str().unwrap();
        let told = stream::iter([message(proof), message("again")]);
        Some(told.chain(stream::pending()).boxed())
    }
}

async fn world() -> World {
    World::with(ServerConfig {
        other_calls: Some(Arc::new(Echo)),
        ..ServerConfig::default()
    })
    .await
}

/// Calls a method.
async fn call(
    world: &World,
    path: &str,
    proof: Option<&str>,
) -> Result<Stream<Address, Address>, Status> {
    let channel = world.connect().await;
    try_open(&channel, path, proof, Some(Address::default())).await
}

#[tokio::test]
async fn an_application_answers_calls_of_its_own_until_the_server_ends() {
    let mut world = world().await;
    let mut told = call(&world, "/test.Other/Tell", Some("me")).await.unwrap();
    for text in ["me", "again"] {
        let message = told.responses.message().await.unwrap().unwrap();
        let Some(address::Address::Pipe(pipe)) = message.address else {
            panic!("{message:?}");
        };
        assert_eq!(pipe.path, text);
    }
    world.shutdown.cancel();
    let end = told.responses.message().await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    (&mut world.server).await.unwrap();
}

#[tokio::test]
async fn a_call_ends_with_the_time_that_its_caller_gives_it() {
    let world = world().await;
    let channel = world.connect().await;
    let headers = [(PROOF, "me"), ("grpc-timeout", "50m")];
    let told = open_with(&channel, "/test.Other/Tell", &headers, None::<Address>).await;
    let mut told: Stream<Address, Address> = told.unwrap();
    for _ in 0..2 {
        told.responses.message().await.unwrap().unwrap();
    }
    let end = tokio::time::timeout(Duration::from_secs(10), told.responses.message())
        .await
        .unwrap();
    let end = end.unwrap_err();
    assert!(
        [Code::DeadlineExceeded, Code::Cancelled].contains(&end.code()),
        "{end}"
    );
}

#[tokio::test]
async fn a_call_that_is_refused_ends_its_connection_and_a_method_that_is_none_says_so() {
    let world = world().await;
    let mut told = call(&world, "/test.Other/Tell", None).await.unwrap();
    let end = told.responses.message().await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied);
    world
        .until(r#"xds_connections_closed_total{reason="refused"}"#, 1.0)
        .await;
    let unknown = call(&world, "/test.Other/Ask", Some("me")).await;
    assert_eq!(unknown.err().unwrap().code(), Code::Unimplemented);
}
