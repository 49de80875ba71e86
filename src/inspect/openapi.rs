//! The OpenAPI description, made of the types of [`super::api`] and of the queries.

use utoipa::OpenApi;

use super::handlers;
use super::questions::{explain, objects};

/// The description of all paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Seaway inspection API",
        description = "What a replica of Seaway serves, to whom, since when and why. Read only.",
        license(name = "Apache-2.0"),
    ),
    paths(
        handlers::status,
        handlers::proxies,
        handlers::services,
        handlers::resources,
        handlers::problems,
        handlers::changes,
        handlers::watches,
        explain::explain,
        objects::objects,
    )
)]
struct Description;

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
