//! `seaway explain`: says what becomes of a connection or a request, and what decided that. The
//! answer is the translator's, made of the plans that the resources of proxies are made of; here it
//! is asked for, of manifests or of running replicas, and printed.

mod live;
mod text;

use std::path::Path;
use std::process::ExitCode;

use seaway_translator::{Answer, Change, Question, Served, Subject, Translator, Viewpoint};

use crate::args::{ExplainArgs, OutputForm};
use crate::process::exit::{self, Failure};
use crate::process::form;
use crate::source::files;

/// How many problems of files are shown.
const PROBLEMS: usize = 20;

/// Prints the answer; the exit code says whether all that is asked for is served.
pub(crate) fn run(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let question = args
        .question()
        .map_err(|error| Failure::unusable(error.to_string()))?;
    let viewpoint = args.viewpoint(&question);
    let viewpoint = viewpoint.map_err(|error| Failure::unusable(error.to_string()))?;
    let answer = match &args.files {
        Some(folder) => from_files(args, folder, &question, &viewpoint)?,
        None => live::ask(args)?,
    };
    let text = match args.output {
        OutputForm::Text => Ok(text::print(&answer, args.verbose)),
        OutputForm::Json => form::json(&answer),
        OutputForm::Yaml => form::yaml(&answer),
    };
    exit::print(&text.map_err(Failure::Broken)?)?;
    Ok(ExitCode::from(u8::from(answer.served != Served::Yes)))
}

/// The answer of a world that is read from manifests.
fn from_files(
    args: &ExplainArgs,
    folder: &Path,
    question: &Question,
    viewpoint: &Viewpoint,
) -> Result<Answer, Failure> {
    let reading = files::read_given(folder).map_err(Failure::Unusable)?;
    let checked = args.shape.check_gateway_services(None);
    checked.map_err(Failure::unusable)?;
    let mut translator = Translator::new(args.shape.options(true));
    translator.activate(&viewpoint.view);
    for object in reading.objects {
        translator.apply(Change::Apply(object));
    }
    translator.set_unread(&reading.problems);
    translator.flush();
    let mut answer = translator.explain(question, viewpoint);
    // What could not be read may be what is missing.
    let of_files = reading.problems.into_iter().filter(|problem| {
        matches!(
            problem.object,
            Subject::File(_) | Subject::Folder(_) | Subject::Other(_)
        )
    });
    answer.problems.extend(of_files.take(PROBLEMS));
    Ok(answer)
}
