//! The arguments of `seaway explain`.

use std::path::PathBuf;

use clap::Args;
use seaway_translator::{Question, QuestionError, Role, Viewpoint};

use super::values::{OutputForm, label, word};
use super::{AskArgs, PlaceArgs, ProxyRole, ShapeArgs};

/// `seaway explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// What to explain: SERVICE or SERVICE:PORT, with NAMESPACE/ or -n, an address (10.96.0.11:80,
    /// 10.96.0.11:53/udp), a URL, ingress/NAME, gateway/NAME, httproute/NAME, or the word
    /// resource and the name of one
    #[arg(required = true, num_args = 1..=2, value_name = "WHAT", value_parser = word)]
    pub(crate) what: Vec<String>,
    /// Read the manifests (*.yaml, *.yml, *.json) below this folder, instead of asking a replica
    #[arg(long, env = "SEAWAY_FILES", value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// The namespace of what is named without one
    #[arg(short, long, env = "SEAWAY_NAMESPACE", value_name = "NS", default_value = "default", value_parser = label)]
    pub(crate) namespace: String,
    /// Where the connection comes from: node/NAME, zone/NAME, an IP address, or proxy/ID as that
    /// connected proxy sees it
    #[arg(long, env = "SEAWAY_FROM", value_name = "WHERE", value_parser = word)]
    pub(crate) from: Option<String>,
    /// Which kind of proxy takes it (node; for a URL mesh with http, ingress with https)
    #[arg(long, env = "SEAWAY_ROLE")]
    pub(crate) role: Option<ProxyRole>,
    /// Where the proxy is.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The form: text for people, or JSON or YAML
    #[arg(short, long, env = "SEAWAY_OUTPUT", default_value = "text")]
    pub(crate) output: OutputForm,
    /// Show every endpoint, also those that are like others
    #[arg(short, long, env = "SEAWAY_VERBOSE")]
    pub(crate) verbose: bool,
    /// How to translate.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
}

impl ExplainArgs {
    /// What is asked.
    ///
    /// # Errors
    ///
    /// It is no question.
    pub(crate) fn question(&self) -> Result<Question, QuestionError> {
        Question::read(&self.what.join(" "), &self.namespace)
    }

    /// Whether the viewpoint is a connected proxy's, which only a replica knows.
    pub(crate) fn is_from_proxy(&self) -> bool {
        let from = self.from.as_deref();
        from.is_some_and(|from| from.starts_with("proxy/"))
    }

    /// Who asks it: the proxy, and where a connection to it comes from.
    ///
    /// # Errors
    ///
    /// `--from` is no place.
    pub(crate) fn viewpoint(&self, question: &Question) -> Result<Viewpoint, QuestionError> {
        let role = self.role.map_or_else(|| question.usual_role(), Role::from);
        let viewpoint = Viewpoint::of(self.place.view(role));
        match &self.from {
            Some(_) if self.files.is_none() && self.is_from_proxy() => Ok(viewpoint),
            Some(from) => viewpoint.from(from),
            None => Ok(viewpoint),
        }
    }
}
