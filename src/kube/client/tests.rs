use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use seaway_testing::ApiServer;
use seaway_testing::certs::{Ca, Leaf};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A kubeconfig in a folder, for a server.
fn write(folder: &Path, cluster: &Value, user: &Value) -> Result<PathBuf> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "one", "cluster": cluster}], "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "me"}}],
    });
    let file = folder.join("config");
    fs::write(&file, config.to_string())?;
    Ok(file)
}

/// A client that looks at its files before each request.
async fn client(folder: &Path, cluster: &Value, user: &Value) -> Result<Client> {
    let files = vec![write(folder, cluster, user)?];
    Client::looking(Source::Kubeconfig { files }, None, Duration::ZERO).await
}

async fn ask(client: &Client) -> Result<(), Failure> {
    let request = Request::get("/api/v1/nodes").body(Vec::new()).unwrap();
    let limit = Duration::from_secs(10);
    within(limit, client.whole(request, 1 << 20))
        .await
        .map(drop)
}

fn plain(server: &ApiServer) -> Value {
    json!({"server": format!("http://{}", server.address())})
}

fn refused(answer: Result<(), Failure>) -> Option<u16> {
    match answer {
        Err(Failure::Refused { code, .. }) => Some(code),
        _ => None,
    }
}

fn trouble(client: &Client) -> Option<String> {
    lock(&client.0.follower).trouble.clone()
}

fn me(ca: &Ca, folder: &Path) -> Result<Leaf> {
    let leaf = ca.client(&[])?;
    leaf.write(folder)?;
    Ok(leaf)
}

#[tokio::test]
async fn certificates_are_followed_and_what_is_broken_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let server = ApiServer::start()?;
    server.configure(|settings| settings.token = None);
    let (ours, theirs) = (Ca::new("clients")?, Ca::new("servers")?);
    server.secure(&theirs.server(&["127.0.0.1"])?, &ours)?;
    theirs.write(folder)?;
    me(&ours, folder)?;
    let cluster = json!({"server": format!("https://{}", server.address()), "certificate-authority": "ca.crt"});
    let user = json!({"client-certificate": "tls.crt", "client-key": "tls.key"});
    let client = client(folder, &cluster, &user).await?;
    ask(&client).await?;
    // The server believes others now, and shows a certificate of another authority.
    let (ours, theirs) = (Ca::new("clients")?, Ca::new("servers")?);
    server.secure(&theirs.server(&["127.0.0.1"])?, &ours)?;
    server.kill()?;
    ensure!(matches!(ask(&client).await, Err(Failure::Unreachable(_))));
    theirs.write(folder)?;
    let leaf = me(&ours, folder)?;
    ask(&client).await?;
    // A certificate without its key, half a file, none at all: the last good ones stay.
    let other = ours.client(&[])?;
    let breaks: [(&str, Option<String>); 4] = [
        ("tls.crt", Some(other.pem())),
        ("tls.key", Some(leaf.key_pem()[..40].to_owned())),
        ("ca.crt", Some(String::new())),
        ("tls.crt", None),
    ];
    for (name, content) in breaks {
        let file = folder.join(name);
        let before = fs::read(&file)?;
        match &content {
            Some(content) => fs::write(&file, content)?,
            None => fs::remove_file(&file)?,
        }
        server.kill()?;
        // The first request may meet the connection that has just been broken.
        let _ = ask(&client).await;
        ask(&client).await?;
        let said = trouble(&client);
        ensure!(said.is_some(), "nothing is said of {name} with {content:?}");
        fs::write(&file, before)?;
        ask(&client).await?;
        ensure!(trouble(&client).is_none());
    }
    Ok(())
}

#[tokio::test]
async fn a_token_in_a_file_is_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    let set = |token: &str| {
        server.configure(|settings| settings.token = Some(token.to_owned()));
        fs::write(folder.path().join("token"), format!("{token}\n"))
    };
    set("first")?;
    let client = client(
        folder.path(),
        &plain(&server),
        &json!({"tokenFile": "token"}),
    )
    .await?;
    ask(&client).await?;
    set("second")?;
    ask(&client).await?;
    fs::remove_file(folder.path().join("token"))?;
    ask(&client).await?;
    ensure!(trouble(&client).is_some_and(|said| said.contains("token")));
    Ok(())
}

#[tokio::test]
async fn the_account_of_a_pod_is_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.configure(|settings| settings.token = Some("first".to_owned()));
    let (nobody, theirs) = (Ca::new("clients")?, Ca::new("servers")?);
    server.secure_for_all(&theirs.server(&["127.0.0.1"])?, &nobody)?;
    theirs.write(folder.path())?;
    fs::write(folder.path().join("token"), "first")?;
    let source = Source::Pod {
        folder: folder.path().to_owned(),
        server: format!("https://{}", server.address()),
    };
    let client = Client::looking(source, None, Duration::ZERO).await?;
    ask(&client).await?;
    server.configure(|settings| settings.token = Some("second".to_owned()));
    ensure!(refused(ask(&client).await) == Some(401));
    let theirs = Ca::new("servers")?;
    server.secure_for_all(&theirs.server(&["127.0.0.1"])?, &nobody)?;
    theirs.write(folder.path())?;
    fs::write(folder.path().join("token"), "second")?;
    ask(&client).await?;
    Ok(())
}

#[tokio::test]
async fn a_kubeconfig_that_leads_elsewhere_is_not_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, other) = (ApiServer::start()?, ApiServer::start()?);
    for server in [&server, &other] {
        server.configure(|settings| settings.token = Some("one".to_owned()));
    }
    let user = json!({"token": "one"});
    let client = client(folder.path(), &plain(&server), &user).await?;
    ask(&client).await?;
    write(folder.path(), &plain(&other), &user)?;
    ask(&client).await?;
    let asked = |server: &ApiServer| server.activity().borrow().requests("list", "nodes");
    ensure!((asked(&server), asked(&other)) == (2, 0));
    ensure!(trouble(&client).is_some_and(|said| said.contains(&other.address().to_string())));
    // What else it says is.
    server.configure(|settings| settings.token = Some("two".to_owned()));
    write(folder.path(), &plain(&server), &json!({"token": "two"}))?;
    ask(&client).await?;
    ensure!(trouble(&client).is_none());
    Ok(())
}

#[tokio::test]
async fn a_plugin_is_asked_again_when_what_it_gave_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    let plugin = folder.path().join("plugin");
    let token = folder.path().join("token");
    let script = format!(
        "#!/bin/sh\nprintf '{{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1\", \"status\": {{\"token\": \"%s\"}}}}' \"$(cat {})\"\n",
        token.display()
    );
    fs::write(&plugin, script)?;
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))?;
    let set = |text: &str| {
        server.configure(|settings| settings.token = Some(text.to_owned()));
        fs::write(&token, text)
    };
    set("first")?;
    let exec = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never",
    }});
    let client = client(folder.path(), &plain(&server), &exec).await?;
    ask(&client).await?;
    set("second")?;
    ensure!(refused(ask(&client).await) == Some(401));
    ask(&client).await?;
    // One that fails is said; what it gave last stays.
    fs::write(
        &plugin,
        "#!/bin/sh\necho secret; echo no luck >&2; exit 3\n",
    )?;
    set("third")?;
    ensure!(refused(ask(&client).await) == Some(401));
    ensure!(refused(ask(&client).await) == Some(401));
    let said = trouble(&client).unwrap_or_default();
    ensure!(
        said.contains("plugin") && said.contains("no luck"),
        "{said}"
    );
    ensure!(!said.contains("secret"), "{said}");
    Ok(())
}

/// A proxy that carries one connection after the other, by HTTP or by SOCKS. Tells where each wants
/// to go.
async fn proxy(socks: bool) -> Result<(SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let target = match socks {
                    true => socks_target(&mut near).await?,
                    false => connect_target(&mut near).await?,
                };
                let mut far = TcpStream::connect(&target).await?;
                let _ = tell.send(target);
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    Ok((address, asked))
}

async fn connect_target(near: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
    }
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").unwrap_or_default();
    Ok(target.split(' ').next().unwrap_or_default().to_owned())
}

async fn socks_target(near: &mut TcpStream) -> std::io::Result<String> {
    let mut greeting = [0; 2];
    near.read_exact(&mut greeting).await?;
    let mut methods = vec![0; greeting[1].into()];
    near.read_exact(&mut methods).await?;
    near.write_all(&[5, 0]).await?;
    // Version, command, nothing, an IPv4 address and a port.
    let mut request = [0; 10];
    near.read_exact(&mut request).await?;
    let [_, _, _, kind, a, b, c, d, high, low] = request;
    assert_eq!(kind, 1, "{request:?}");
    near.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let port = u16::from_be_bytes([high, low]);
    Ok(format!("{a}.{b}.{c}.{d}:{port}"))
}

#[tokio::test]
async fn the_proxy_of_the_kubeconfig_is_on_the_way() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let server = ApiServer::start()?;
    server.configure(|settings| settings.token = None);
    let (ours, theirs) = (Ca::new("clients")?, Ca::new("servers")?);
    theirs.write(folder)?;
    me(&ours, folder)?;
    let user = json!({"client-certificate": "tls.crt", "client-key": "tls.key"});
    for secure in [false, true] {
        let mut cluster = plain(&server);
        if secure {
            server.secure(&theirs.server(&["127.0.0.1"])?, &ours)?;
            let url = format!("https://{}", server.address());
            cluster = json!({"server": url, "certificate-authority": "ca.crt"});
        }
        for scheme in ["http", "socks5", "socks5h"] {
            let (address, mut asked) = proxy(scheme != "http").await?;
            cluster["proxy-url"] = json!(format!("{scheme}://{address}"));
            let client = client(folder, &cluster, &user).await?;
            ask(&client).await?;
            let asked = asked.recv().await.unwrap_or_default();
            ensure!(asked == server.address().to_string(), "{scheme}: {asked}");
        }
    }
    Ok(())
}
