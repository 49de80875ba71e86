use std::fs;

use seaway_testing::certs::Ca;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

/// A kubeconfig with one context, and what its cluster and its user have.
fn kubeconfig(cluster: Value, user: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "one", "cluster": cluster}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "me"}}],
    })
}

fn load(folder: &Path, config: &Value) -> anyhow::Result<Access> {
    let file = folder.join("config");
    fs::write(&file, config.to_string())?;
    Source::Kubeconfig { files: vec![file] }.load(None)
}

fn token(access: &Access) -> &str {
    let token = access.config.auth_info.token.as_ref();
    token.map_or("", |token| token.expose_secret())
}

fn here() -> Value {
    json!({"server": "https://10.0.0.1:6443"})
}

#[test]
fn kubeconfigs_that_do_not_exist_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut first = kubeconfig(here(), json!({"token": "first"}));
    let second = kubeconfig(
        json!({"server": "https://10.0.0.2"}),
        json!({"token": "second"}),
    );
    first["clusters"] = json!([]);
    fs::write(at("a"), first.to_string()).unwrap();
    fs::write(at("b"), second.to_string()).unwrap();
    let load = |names: &[&str]| {
        let files = names.iter().map(|name| at(name)).collect();
        Source::Kubeconfig { files }.load(None)
    };
    let access = load(&["none", "a", "neither", "b"]).unwrap();
    assert_eq!(access.config.cluster_url.to_string(), "https://10.0.0.2/");
    assert_eq!(token(&access), "first");
    let error = load(&["none", "neither"]).err().unwrap().to_string();
    assert!(
        error.contains("none") && error.contains("neither"),
        "{error}"
    );
    // One that is there and cannot be read is another matter.
    fs::create_dir(at("folder")).unwrap();
    let error = format!("{:#}", load(&["folder", "b"]).err().unwrap());
    assert!(error.contains("not a regular file"), "{error}");
    assert!(load(&["/dev/zero", "b"]).is_err());
}

#[test]
fn a_token_is_read_without_the_space_around_it_and_goes_before_the_one_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let config = kubeconfig(here(), json!({"tokenFile": "token", "token": "beside"}));
    fs::write(&file, " abc.def\r\n").unwrap();
    let first = load(folder.path(), &config).unwrap();
    assert_eq!(token(&first), "abc.def");
    assert_eq!(load(folder.path(), &config).unwrap().digest, first.digest);
    fs::write(&file, "other\n").unwrap();
    let second = load(folder.path(), &config).unwrap();
    assert_ne!(second.digest, first.digest);
    fs::remove_file(&file).unwrap();
    assert_eq!(token(&load(folder.path(), &config).unwrap()), "beside");
    let config = kubeconfig(here(), json!({"tokenFile": "token"}));
    for (content, why) in [
        (None, "No such file"),
        (Some("\n"), "no valid token"),
        (Some("a\nb"), "no valid token"),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let error = format!("{:#}", load(folder.path(), &config).err().unwrap());
        assert!(error.contains("token") && error.contains(why), "{error}");
    }
}

#[test]
fn certificates_are_read_from_files_beside_the_kubeconfig_or_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("one").unwrap();
    ca.write(folder.path()).unwrap();
    let leaf = ca.client(&[]).unwrap();
    leaf.write(folder.path()).unwrap();
    let cluster = json!({"server": "https://10.0.0.1", "certificate-authority": "ca.crt"});
    let user = json!({"client-certificate": "tls.crt", "client-key": "tls.key"});
    let files = load(folder.path(), &kubeconfig(cluster, user)).unwrap();
    let cluster = json!({
        "server": "https://10.0.0.1", "certificate-authority-data": STANDARD.encode(ca.pem()),
        "certificate-authority": "/none",
    });
    let user = json!({
        "client-certificate-data": STANDARD.encode(leaf.pem()), "client-key-data": STANDARD.encode(leaf.key_pem()),
    });
    let inline = load(folder.path(), &kubeconfig(cluster, user)).unwrap();
    for access in [files, inline] {
        let user = access.config.auth_info;
        let cert = user.client_certificate_data.unwrap();
        assert_eq!(STANDARD.decode(cert).unwrap(), leaf.pem().as_bytes());
        assert!(user.client_certificate.is_none() && user.client_key.is_none());
        assert_eq!(access.config.root_cert.unwrap().len(), 1);
    }
}

#[test]
fn what_cannot_be_used_is_named_without_what_is_secret() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), vec![b'x'; 5 << 20]).unwrap();
    let user = |user: Value| kubeconfig(here(), user);
    let cluster = |cluster: Value| kubeconfig(cluster, json!({}));
    let mut nowhere = user(json!({}));
    nowhere["current-context"] = Value::Null;
    let mut unknown = user(json!({}));
    unknown["current-context"] = json!("two");
    let cases = [
        (nowhere, "no current-context"),
        (unknown, "no context \"two\""),
        (cluster(json!({})), "no server"),
        (cluster(json!({"server": "10.0.0.1:6443"})), "https://"),
        (
            cluster(json!({"server": "https://a", "proxy-url": "ftp://b"})),
            "proxy-url: ftp://",
        ),
        (
            cluster(json!({"server": "https://a", "certificate-authority-data": "c2VjcmV0"})),
            "no PEM certificate",
        ),
        (
            user(json!({"client-key-data": "secret!"})),
            "client-key-data: it is not base64",
        ),
        (user(json!({"client-key": "none"})), "No such file"),
        (user(json!({"client-key": "large"})), "larger than 4 MiB"),
        (
            user(json!({"auth-provider": {"name": "gcp"}})),
            "auth-provider \"gcp\" is not supported",
        ),
        (user(json!({"token": {"secret": "secret"}})), "config"),
    ];
    for (config, why) in cases {
        let error = format!("{:#}", load(folder.path(), &config).err().unwrap());
        assert!(error.contains(why), "{why}: {error}");
        assert!(
            !error.contains("secret") && !error.contains('\n'),
            "{error}"
        );
    }
}

#[test]
fn a_pod_has_its_account_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Pod {
        folder: folder.path().to_owned(),
        server: "https://[fd00::1]".to_owned(),
    };
    Ca::new("cluster").unwrap().write(folder.path()).unwrap();
    let error = format!("{:#}", source.load(None).err().unwrap());
    assert!(error.contains("/token"), "{error}");
    fs::write(folder.path().join("token"), "abc").unwrap();
    let first = source.load(None).unwrap();
    assert_eq!(token(&first), "abc");
    assert_eq!(first.config.cluster_url.to_string(), "https://[fd00::1]/");
    fs::write(folder.path().join("token"), "def\n").unwrap();
    let second = source.load(None).unwrap();
    assert_eq!(token(&second), "def");
    assert_ne!(first.digest, second.digest);
}
