//! The OpenAPI description, made of the types of [`super::api`] and of the queries.

use seaway_translator::{Reason, Role};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::questions::{explain, objects};
use super::{handlers, types};

/// Why a request of any path may get no answer.
const REFUSALS: [(&str, &str); 4] = [
    (
        "401",
        "Over TLS: nothing proves who asks, or it does not hold.",
    ),
    (
        "403",
        "Who asks is not on loopback, nor proven to be whom `--admin-allow` names; or `Host` or `Origin` is a foreign one.",
    ),
    (
        "429",
        "Too many requests at a time: `Retry-After` says when to come again.",
    ),
    (
        "503",
        "The process is about to end, or proofs cannot be verified now.",
    ),
];

/// The description of all paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Seaway inspection API",
        description = "What a replica of Seaway serves, to whom, since when and why. Read only.",
        license(name = "Apache-2.0"),
    ),
    components(schemas(super::api::ApiError, super::api::ProblemSeverity)),
    modifiers(&Refusals),
    paths(
        handlers::status,
        handlers::proxies,
        handlers::services,
        handlers::resources,
        handlers::layers,
        handlers::diff,
        handlers::problems,
        handlers::changes,
        handlers::watches,
        explain::explain,
        objects::objects,
    )
)]
struct Description;

/// Adds [`REFUSALS`] to every path.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let paths = openapi.paths.paths.values_mut();
        for operation in paths.filter_map(|path| path.get.as_mut()) {
            for (status, why) in REFUSALS {
                let error = Ref::from_schema_name("ApiError");
                let content = ContentBuilder::new().schema(Some(error)).build();
                let response = ResponseBuilder::new()
                    .description(why)
                    .content("application/json", content);
                let responses = &mut operation.responses.responses;
                responses.insert(status.to_owned(), RefOr::T(response.build()));
            }
        }
    }
}

/// The schema of one of these words.
fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.enum_values(Some(words)).build()
}

/// How much of a Service is served.
pub(super) fn served() -> Object {
    one_of(["yes", "partly", "no"])
}

/// The role of a proxy.
pub(super) fn role() -> Object {
    one_of(Role::ALL.map(Role::as_str))
}

/// The reason of a problem.
pub(super) fn reason() -> Object {
    one_of(Reason::ALL.iter().map(|reason| reason.as_str()))
}

/// The type of a resource.
pub(super) fn resource_type() -> Object {
    one_of(types::names())
}

/// The description as it is served at `/api/v1/openapi.json`.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `INSTA_UPDATE=always` takes what there is now.
    #[test]
    fn the_description_in_the_documentation_is_that_of_the_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let text = document().to_pretty_json().unwrap() + "\n";
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "docs/openapi.json: make accept writes it");
    }
}
