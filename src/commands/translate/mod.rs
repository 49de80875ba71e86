//! `seaway translate`: prints what a proxy would be sent, made by the code that would send it.

mod inline;
mod output;

use std::process::ExitCode;
use std::sync::Arc;

use seaway_translator::{CertificateDelivery, Options, Role, Severity, translate_targets};

use crate::args::{Output, ProxyRole, TranslateArgs};
use crate::process::exit::{self, Failure};
use crate::process::form;
use crate::source::files;
use output::Printed;
pub(super) use output::redacted;

/// What gRPC clients dial.
const FORM: &str = "<service>.<namespace>[.svc[.<cluster domain>]][:<port>]";

/// Prints the translation; the exit code says whether all that was asked for is served.
pub(crate) fn run(args: &TranslateArgs) -> Result<ExitCode, Failure> {
    let role = Role::from(args.role);
    let options = args.shape.options(true);
    let targets = targets(args, &options)?;
    let reading = files::read_given(&args.files).map_err(Failure::Unusable)?;
    let checked = args.shape.check_gateway_services(None);
    checked.map_err(Failure::unusable)?;
    let mut view = args.place.view(role);
    // A configuration that is read as a whole has all routes in one table.
    view.whole_table = role == Role::Mesh && args.output == Output::Static;
    // Without a control plane there is nobody to ask.
    if args.shape.certificates_on_demand && args.output != Output::Static {
        view.certificates = CertificateDelivery::OnDemand;
    }
    let mut translated = translate_targets(options, reading.objects, &view, &targets);
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

/// The names that a gRPC client dials.
fn targets(args: &TranslateArgs, options: &Options) -> Result<Vec<Arc<str>>, Failure> {
    let is_grpc = args.role == ProxyRole::Grpc;
    if is_grpc && args.output == Output::Static {
        let line = "--role grpc takes no -o static: a gRPC client starts with `seaway bootstrap --role grpc`";
        return Err(Failure::unusable(line));
    }
    if !is_grpc && !args.target.is_empty() {
        let line = "--target is for --role grpc: it is what a gRPC client dials";
        return Err(Failure::unusable(line));
    }
    let name = |target: &String| match options.is_target(target) {
        true => Ok(Arc::from(target.as_str())),
        false => Err(Failure::unusable(format!(
            "--target {target}: no Service is dialled like this; it is {FORM}"
        ))),
    };
    args.target.iter().map(name).collect()
}
