//! `seaway translate`: prints what a proxy would be sent, made by the code that would send it.

mod inline;
mod output;

use std::process::ExitCode;

use seaway_translator::{CertificateDelivery, Role, Severity, translate_once};

use crate::args::{Output, ProxyRole, TranslateArgs};
use crate::process::exit::{self, Failure};
use crate::process::form;
use crate::source::files;
use output::Printed;

/// Prints the translation; the exit code says whether all that was asked for is served.
pub(crate) fn run(args: &TranslateArgs) -> Result<ExitCode, Failure> {
    let role = role(args)?;
    let reading = files::read_given(&args.files).map_err(Failure::Unusable)?;
    let checked = args.shape.check_gateway_services(None);
    checked.map_err(Failure::unusable)?;
    let options = args.shape.options(true);
    let mut view = args.place.view(role);
    // Without a control plane there is nobody to ask.
    if args.shape.certificates_on_demand && args.output != Output::Static {
        view.certificates = CertificateDelivery::OnDemand;
    }
    let mut translated = translate_once(options, reading.objects, &view);
    translated.problems.extend(reading.problems);
    translated.problems.sort();
    let failed = translated
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    let printed = Printed::new(&translated).map_err(Failure::Broken)?;
    let text = match args.output {
        Output::Json => form::json(&printed),
        Output::Yaml => form::yaml(&printed),
        Output::Static => inline::bootstrap(printed),
    };
    exit::print(&text.map_err(Failure::Broken)?)?;
    Ok(ExitCode::from(u8::from(failed)))
}

fn role(args: &TranslateArgs) -> Result<Role, Failure> {
    match args.role {
        ProxyRole::Node => Ok(Role::Node),
        ProxyRole::Mesh => Ok(Role::Mesh),
        ProxyRole::Ingress => Ok(Role::Ingress),
        ProxyRole::Grpc => Err(Failure::unusable(
            "--role grpc is not available in this build; use node, mesh or ingress",
        )),
    }
}
