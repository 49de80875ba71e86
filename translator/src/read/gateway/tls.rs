//! Reads the `tls` of a listener (Gateway rules 21, 35 and 39).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::super::route::parent::{is_kind, part};
use super::short;
use crate::Reason;
use crate::model::{CertificateRef, ListenerProtocol};
use crate::names::{is_label, is_subdomain};

/// What is said of a certificate that is something else.
pub(crate) const NOT_A_SECRET: &str = "a certificate has to be a Secret";

/// How many certificates a listener may have.
const CERTIFICATES: usize = 64;

/// Reads the references to certificates. Whatever is wrong keeps the listener from being accepted.
pub(super) fn read(
    tls: &Field<'_>,
    protocol: &ListenerProtocol,
    namespace: &str,
    report: &mut Report,
) -> Result<Vec<CertificateRef>, Wrong> {
    let is_set = tls.has_fields(report)?;
    let is_https = *protocol == ListenerProtocol::Https;
    match protocol {
        ListenerProtocol::Http | ListenerProtocol::Tcp | ListenerProtocol::Udp if is_set => {
            let message = "the protocol of the listener has no TLS";
            return Err(tls.error(Reason::InvalidValue, message, report));
        }
        ListenerProtocol::Https | ListenerProtocol::Tls if !is_set => {
            let message = "it is missing, and the protocol of the listener needs it";
            return Err(tls.error(Reason::InvalidValue, message, report));
        }
        ListenerProtocol::Https | ListenerProtocol::Tls => {}
        _ => return Ok(Vec::new()),
    }
    let mode = tls.get("mode");
    let terminates = match mode.text(report)?.unwrap_or("Terminate") {
        "Terminate" => true,
        "Passthrough" if !is_https => false,
        other => {
            let message = match is_https {
                true => format!("{other:?} is not Terminate, which HTTPS needs"),
                false => format!("{other:?} is neither Terminate nor Passthrough"),
            };
            return Err(mode.error(Reason::InvalidValue, message, report));
        }
    };
    let frontend = tls.get("frontendValidation");
    if frontend.is_set() {
        return Err(no_validation(&frontend, report));
    }
    let options = tls.get("options");
    if options.is_set() {
        let message = "Seaway knows no options";
        report.warning(&options, Reason::UnsupportedField, message);
    }
    let list = tls.get("certificateRefs");
    let items = list.items(report)?;
    if items.count_all() > CERTIFICATES {
        let message = format!("a listener may have {CERTIFICATES} of them");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    if terminates && items.is_empty() {
        let message = "there is none, and TLS that is terminated needs one";
        return Err(list.error(Reason::InvalidValue, message, report));
    }
    Ok(items
        .map(|item| certificate(&item, namespace, report))
        .collect())
}

/// Whoever asks for certificates of clients must not be served without (Gateway rule 39).
pub(super) fn no_validation(field: &Field<'_>, report: &mut Report) -> Wrong {
    let message = "certificates of clients are not verified yet, so the listener is not served";
    field.error(Reason::UnsupportedField, message, report)
}

/// Reads a reference. One that cannot be read is kept as one to something that is not supported.
fn certificate(item: &Field<'_>, namespace: &str, report: &mut Report) -> CertificateRef {
    read_certificate(item, namespace, report).unwrap_or_else(|Wrong| CertificateRef {
        namespace: namespace.into(),
        name: "".into(),
        is_secret: false,
    })
}

fn read_certificate(
    item: &Field<'_>,
    namespace: &str,
    report: &mut Report,
) -> Result<CertificateRef, Wrong> {
    item.has_fields(report)?;
    let is_group = |text: &str| text.is_empty() || is_subdomain(text);
    let group = part(&item.get("group"), is_group, report)?.unwrap_or_default();
    let kind = part(&item.get("kind"), is_kind, report)?;
    let is_secret = group.is_empty() && kind.is_none_or(|kind| *kind == *"Secret");
    if !is_secret {
        report.error(item, Reason::InvalidValue, NOT_A_SECRET);
    }
    let name = item.get("name");
    let (text, other) = (short(&name, report)?, item.get("namespace"));
    part(&name, is_subdomain, report)?;
    Ok(CertificateRef {
        namespace: part(&other, is_label, report)?.unwrap_or_else(|| namespace.into()),
        name: text,
        is_secret,
    })
}
