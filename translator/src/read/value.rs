//! Parsers of single values, as tolerant as stored objects need.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

use ipnet::IpNet;

use super::api as k8s;
use super::field::{Field, Wrong};
use super::report::Report;
use crate::Reason;
use crate::model::Protocol;

/// Reads an IP address as Kubernetes always did: leading zeros are decimal, and an IPv4 address in
/// IPv6 clothes is IPv4 (Service rule 13).
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    if let Some(v4) = ipv4(text) {
        return Some(IpAddr::V4(v4));
    }
    let v6: Ipv6Addr = text.parse().ok().or_else(|| {
        let (head, tail) = text.rsplit_once(':')?;
        format!("{head}:{}", ipv4(tail)?).parse().ok()
    })?;
    Some(IpAddr::V6(v6).to_canonical())
}

/// Reads a CIDR as tolerantly; white space around it counts for nothing, nor do bits behind the
/// prefix (Service rule 13).
pub(super) fn cidr(text: &str) -> Option<IpNet> {
    let (address, length) = text.trim().split_once('/')?;
    if !length.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let range = IpNet::new(ip(address)?, length.parse().ok()?).ok()?;
    Some(range.trunc())
}

fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        // `parse` alone would take a sign.
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then_some(octets.into())
}

/// Reads a time in whole seconds or milliseconds: `3s`, `500ms`.
pub(super) fn milliseconds(text: &str) -> Option<u32> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    number::<u32>(digits)?.checked_mul(unit)
}

/// Reads a number without a sign, which `parse` alone would take.
pub(super) fn number<T: FromStr>(digits: &str) -> Option<T> {
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

/// Reads a port number.
pub(super) fn port(number: i32) -> Option<NonZeroU16> {
    u16::try_from(number).ok().and_then(NonZeroU16::new)
}

/// Reads a port number of a field.
pub(super) fn port_field(
    field: &Field<'_>,
    report: &mut Report,
) -> Result<Option<NonZeroU16>, Wrong> {
    let Some(number) = field.number(report)? else {
        return Ok(None);
    };
    let read = i32::try_from(number).ok().and_then(port);
    read.map(Some).ok_or_else(|| {
        let message = format!("{number} is not a port number");
        field.error(Reason::InvalidPort, message, report)
    })
}

/// Reads a protocol; unset means TCP.
pub(super) fn protocol(text: Option<&str>) -> Option<Protocol> {
    match text {
        None | Some("" | "TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

/// The value of a label; `None` when it is not set.
pub(super) fn label<'a>(meta: &'a k8s::Metadata, key: &str) -> Option<&'a str> {
    meta.labels.get(key).map(String::as_str)
}

/// The value of an annotation; `None` when it is not set.
pub(super) fn annotation<'a>(meta: &'a k8s::Metadata, key: &str) -> Option<&'a str> {
    meta.annotations.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_canonical() {
        let read = |text: &str| ip(text).map(|ip| ip.to_string());
        assert_eq!(read("192.168.099.022").as_deref(), Some("192.168.99.22"));
        assert_eq!(read("010.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(read("2001:DB8:0::5").as_deref(), Some("2001:db8::5"));
        assert_eq!(read("::ffff:010.0.0.1").as_deref(), Some("10.0.0.1"));
        for bad in [
            "",
            "10.0.0",
            "10.0.0.256",
            "+1.0.0.1",
            "1.2.3.4.5",
            "fe80::1%eth0",
            "a.b.c.d",
            "10.0.0.1 ",
            ":",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_are_canonical() {
        let read = |text: &str| cidr(text).map(|range| range.to_string());
        assert_eq!(read(" 010.1.2.3/8 ").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(read("2001:DB8::1/32").as_deref(), Some("2001:db8::/32"));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "/8", "::/129"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(milliseconds("3s"), Some(3000));
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("0s"), Some(0));
        for bad in [
            "", "3", "s", "ms", "+3s", "-1s", "1.5s", "1 s", "1m", "4294968s", "3S",
        ] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn ports_are_one_to_65535() {
        assert_eq!(port(80).map(NonZeroU16::get), Some(80));
        for bad in [0, -1, 65_536, i32::MIN, i32::MAX] {
            assert_eq!(port(bad), None);
        }
    }
}
