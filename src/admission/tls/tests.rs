use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, ServerConnection};
use seaway_testing::certs::{Ca, San};

use super::*;

/// Brings what one side says to the other.
fn carry<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> bool {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets().unwrap();
    }
    !bytes.is_empty()
}

/// A handshake, and what else the two have to say. Which kind it was.
fn meet(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Option<HandshakeKind> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    while carry(&mut client, &mut server) | carry(&mut server, &mut client) {}
    server.handshake_kind()
}

/// A session that is resumed rests on a certificate that may have ended since.
#[test]
fn every_connection_shows_its_certificate_anew() {
    let (ca, clients) = (Ca::new("servers").unwrap(), Ca::new("clients").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let own = ca
        .server(&["localhost"])
        .unwrap()
        .write(folder.path())
        .unwrap();
    let files = Files {
        cert: own.cert,
        key: own.key,
        client_ca: Some(clients.write(folder.path()).unwrap()),
        client_optional: false,
    };
    let server = files.load(&files.read().unwrap()).unwrap().config;

    let mut roots = RootCertStore::empty();
    for authority in pem::certificates("ca", ca.pem().as_bytes()).unwrap() {
        roots.add(authority).unwrap();
    }
    let leaf = clients.client(&[San::dns("n1")]).unwrap();
    let key = pem::private_key("leaf", leaf.key_pem().as_bytes()).unwrap();
    let chain = pem::certificates("leaf", leaf.pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let client = Arc::new(client);
    for _ in 0..3 {
        assert_eq!(meet(&client, &server), Some(HandshakeKind::Full));
    }
}
