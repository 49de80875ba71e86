//! `/api/v1/objects`: which content of an object this replica has taken in, for those who wait
//! until it is the one that they gave.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seaway_translator::{Object, ObjectId, Standing};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use super::ask;
use crate::inspect::Inspect;
use crate::inspect::api::{ObjectRow, Page};
use crate::inspect::guard::error;
use crate::inspect::handlers::{Asked, apart, page};
use crate::inspect::query::Cut;
use crate::inspect::times::Now;

/// The most objects that are asked for at a time.
const MOST: usize = 100;

/// Which objects are asked for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::inspect) struct ObjectQuery {
    /// Services and EndpointSlices, at most 100, with commas between them: `Service
    /// shop/web,EndpointSlice shop/web-x7k2p`.
    #[param(required)]
    objects: String,
}

impl ObjectQuery {
    fn ids(&self) -> Result<Vec<ObjectId>, String> {
        let ids = self.objects.split(',').take(MOST + 1).map(|text| {
            let id = text.trim().parse::<ObjectId>();
            id.map_err(|error| format!("objects: {text:?}: {error}"))
        });
        let ids: Vec<ObjectId> = ids.collect::<Result<_, _>>()?;
        match ids.len() {
            ..=MOST => Ok(ids),
            _ => Err(format!("objects: there are more than {MOST}")),
        }
    }
}

/// A hash of what an object says, of the fields that are used: equal objects have equal ones, of
/// one version of Seaway. Secrets have none.
pub(crate) fn fingerprint(object: &Object) -> Option<String> {
    let text = match object {
        Object::Secret(_) => return None,
        object => serde_json::to_vec(object).ok()?,
    };
    Some(format!("{:016x}", xxh3_64(&text)))
}

/// Which content of objects this replica has taken in, and whether that is published.
#[utoipa::path(get, path = "/api/v1/objects", params(ObjectQuery),
    responses((status = 200, body = Page<ObjectRow>), (status = 400, body = super::super::api::ApiError)))]
pub(in crate::inspect) async fn objects(
    State(inspect): State<Inspect>,
    Asked(query): Asked<ObjectQuery>,
) -> Result<Response, Response> {
    let ids = query.ids();
    let ids = ids.map_err(|why| error(StatusCode::BAD_REQUEST, why))?;
    let standing = ask(&inspect, move |translator| {
        let of = |id: ObjectId| (translator.standing(&id), id);
        ids.into_iter().map(of).collect::<Vec<_>>()
    });
    let standing = standing.await?;
    let answer = move || {
        let items: Vec<_> = standing.iter().map(|(of, id)| row(of, id)).collect();
        let (total, next) = (items.len(), None);
        // What is published now was published by the newest commit, or before.
        page(&inspect, Cut { total, next, items }, Now::read())
    };
    Ok(apart(answer).await?.into_response())
}

fn row(standing: &Standing, id: &ObjectId) -> ObjectRow {
    let summary = standing.summary.as_ref();
    ObjectRow {
        object: id.to_string(),
        hash: standing.object.as_ref().and_then(fingerprint),
        published: standing.is_flushed,
        served: summary.map(|summary| summary.served),
        why: summary
            .and_then(|summary| summary.why.as_ref())
            .map(ToString::to_string),
    }
}
