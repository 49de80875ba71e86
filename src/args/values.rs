//! The values of flags that no other crate knows how to read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use seaway_translator::Fleet;
use seaway_translator::model::ServiceKey;
use seaway_translator::names::is_label;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// Text for people
    #[value(alias = "wide")]
    Text,
    /// JSON, which programs can rely on
    Json,
    /// The same as YAML
    Yaml,
}

/// The address of a control plane: `seaway.example:18000`, `127.0.0.1:18000`, `[::1]:18000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    /// Not zero.
    pub(crate) port: u16,
}

impl HostPort {
    /// The name that the certificate there must have: this one if it is said, else the host.
    pub(super) fn certificate_name(&self, said: Option<&ServerName>) -> String {
        match said {
            Some(ServerName::Dns(name)) => name.clone(),
            Some(ServerName::Ip(address)) => address.to_string(),
            None => self.host.trim_end_matches('.').to_owned(),
        }
    }

    /// Whether it is on this machine.
    fn is_loopback(&self) -> bool {
        self.loopback().is_some()
    }

    /// Its address, if it is on this machine.
    pub(super) fn loopback(&self) -> Option<SocketAddr> {
        let address = match self.host.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            address => address.parse().ok()?,
        };
        let is_loopback = address.to_canonical().is_loopback();
        is_loopback.then(|| SocketAddr::new(address, self.port))
    }
}

/// The admin port of a replica: `127.0.0.1:18001`, `https://seaway.example:18001`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminAddress {
    /// In plain text, on this machine.
    Plain(HostPort),
    /// Over TLS.
    Tls(HostPort),
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminAddress::Plain(at) => write!(f, "{at}"),
            AdminAddress::Tls(at) => write!(f, "https://{at}"),
        }
    }
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<AdminAddress, String> {
        let expected = |_| "expected HOST:PORT or https://HOST:PORT".to_owned();
        if let Some(rest) = text.strip_prefix("https://") {
            let at = rest.strip_suffix('/').unwrap_or(rest).parse();
            return at.map(AdminAddress::Tls).map_err(expected);
        }
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let at: HostPort = bare.parse().map_err(expected)?;
        match at.is_loopback() {
            true => Ok(AdminAddress::Plain(at)),
            false => Err(format!(
                "plain text is answered on loopback alone: ask https://{at}, with --admin-ca, a replica that lets you in by its --admin-allow, or get to its loopback by --kube, kubectl port-forward or ssh -L"
            )),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostPort { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<HostPort, String> {
        let expected = || "expected HOST:PORT".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(expected)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => address
                .parse::<Ipv6Addr>()
                .map_err(|_| expected())?
                .to_string(),
            None if is_host(host) => host.to_owned(),
            None => return Err(expected()),
        };
        Ok(HostPort { host, port })
    }
}

/// The name that a server's certificate must have: a DNS name, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerName {
    /// A name without dots around it. Wildcards of certificates cover it.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerName, String> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        match text.parse() {
            Ok(address) => Ok(ServerName::Ip(address)),
            Err(_) if is_host(bare) => Ok(ServerName::Dns(bare.to_owned())),
            Err(_) => Err("expected a DNS name or an address".to_owned()),
        }
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// Where a proxy serves its own health checks: an address, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HealthzListen(pub(super) Option<SocketAddr>);

impl FromStr for HealthzListen {
    type Err = String;

    fn from_str(text: &str) -> Result<HealthzListen, String> {
        if text == "none" {
            return Ok(HealthzListen(None));
        }
        let address = text.parse().map_err(|_| "expected none or ADDRESS:PORT")?;
        Ok(HealthzListen(Some(address)))
    }
}

/// A name without control characters.
pub(super) fn word(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        text if text.chars().any(char::is_control) => Err("it has control characters".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// The least memory that an Envoy starts with.
const LEAST_MEMORY: u64 = 16 << 20;

/// A number of bytes, as Kubernetes writes them.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("", 0)];
    let read = units.into_iter().find_map(|(unit, shift)| {
        let digits = text.strip_suffix(unit)?;
        // `parse` alone would take a sign.
        let number = digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = number.then(|| digits.parse().ok())??;
        number.checked_mul(1 << shift)
    });
    let read = read.ok_or("expected a number of bytes, such as 512Mi or 1Gi")?;
    match read >= LEAST_MEMORY {
        true => Ok(read),
        false => Err("an Envoy needs at least 16Mi".to_owned()),
    }
}

/// `on` or `off`.
pub(super) fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

/// The name of a namespace.
pub(super) fn label(text: &str) -> Result<String, String> {
    match is_label(text) {
        true => Ok(text.to_owned()),
        false => Err("expected the name of a namespace".to_owned()),
    }
}

/// A Service: `NAMESPACE/NAME`.
fn service(text: &str) -> Result<ServiceKey, String> {
    let parts = text.split_once('/');
    let parts = parts.filter(|(namespace, name)| is_label(namespace) && is_label(name));
    let (namespace, name) = parts.ok_or_else(|| "expected NAMESPACE/NAME".to_owned())?;
    Ok(ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    })
}

/// The Service before the proxies of a fleet: `NAMESPACE/NAME` or `FLEET=NAMESPACE/NAME`.
pub(super) fn ingress_service(text: &str) -> Result<(Fleet, ServiceKey), String> {
    match text.split_once('=') {
        None => Ok((Fleet::default(), service(text)?)),
        Some((fleet, name)) => {
            let fleet = fleet.parse().map_err(|error| format!("{error}"))?;
            Ok((fleet, service(name)?))
        }
    }
}

/// A path that means the same wherever it is read: absolute, from the folder this runs in.
pub(super) fn path(text: &str) -> Result<String, String> {
    let path = std::path::absolute(word(text)?).map_err(|error| error.to_string())?;
    let path = path.into_os_string().into_string();
    path.map_err(|_| "this folder has a name that is no UTF-8".to_owned())
}

/// A DNS domain; dots around it do not matter.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let text = text.trim_matches('.');
    is_host(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected a DNS domain such as cluster.local".to_owned())
}

/// The address of a listener, whose port has to be known to those who connect.
pub(super) fn bound(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<SocketAddr>().ok();
    let address = address.filter(|address| address.port() != 0);
    address.ok_or_else(|| "expected an address and a port such as 0.0.0.0:15008".to_owned())
}

/// A trust domain of SPIFFE identities.
pub(super) fn trust_domain(text: &str) -> Result<String, String> {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let is_name = (1..=255).contains(&text.len()) && text.bytes().all(is_letter);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "expected a trust domain such as cluster.local".to_owned())
}

/// A [`duration`] of a second or more.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < Duration::from_secs(1) {
        return Err("expected a second or more".to_owned());
    }
    Ok(time)
}

/// A length of time: a whole number and one of us, ms, s, m.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 10ms, 5s or 1m".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    match unit {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number
            .checked_mul(60)
            .map(Duration::from_secs)
            .ok_or_else(expected),
        _ if text == "0" => Ok(Duration::ZERO),
        _ => Err(expected()),
    }
}
