//! What is waited for: objects, each with the hash of the content that replicas are to have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures::stream::{self, StreamExt};
use seaway_translator::{Object, ObjectId, ObjectKind};

use crate::args::{Until, WaitArgs};
use crate::ask::table::counted;
use crate::commands::get;
use crate::inspect::api::ChangeRow;
use crate::inspect::fingerprint;
use crate::kube::Visitor;
use crate::process::exit::Failure;
use crate::source::files;

/// How many objects the API server is asked for at once.
const AT_ONCE: usize = 16;

/// The objects that are waited for; everything that there is, if there are none.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Each object with the hash of its content, which is empty if there is none yet; `None`:
    /// whatever its content is.
    pub(super) objects: BTreeMap<ObjectId, Option<String>>,
    /// The Services of these objects, as resources and changes name them: `Service shop/web`.
    pub(super) services: BTreeSet<String>,
    /// How many objects of the manifests are of other kinds.
    others: usize,
}

impl Expected {
    /// What the flags say.
    pub(super) fn of(args: &WaitArgs) -> Result<Expected, Failure> {
        let mut expected = Expected::default();
        if let Some(path) = &args.files {
            expected.read(path, args.until)?;
        }
        for name in &args.services {
            let (namespace, name) = get::service(&Some(name.clone()), &args.namespace)?;
            let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
            let id = ObjectId::new(
                ObjectKind::Service,
                &namespace.as_str().into(),
                &name.as_str().into(),
            );
            expected.services.insert(id.to_string());
            expected.objects.entry(id).or_default();
        }
        Ok(expected)
    }

    fn read(&mut self, path: &Path, until: Until) -> Result<(), Failure> {
        let reading = files::read_path_once(path).map_err(Failure::Unusable)?;
        for object in reading.objects {
            let service = match &object {
                Object::Service(service) => Some(service.key.clone()),
                Object::EndpointSlice(slice) => slice.service.clone(),
                _ => None,
            };
            // A slice without a Service is nothing to anybody.
            let Some(service) = service else {
                self.others += 1;
                continue;
            };
            let service = ObjectId::of_service(&service);
            self.services.insert(service.to_string());
            if until == Until::Served {
                // Of a slice alone it is the Service that is to be served.
                self.objects.entry(service).or_default();
            }
            self.objects.insert(object.id(), fingerprint(&object));
        }
        match self.objects.is_empty() {
            true => Err(Failure::unusable(format!(
                "--files {}: there is no Service or EndpointSlice that can be read",
                path.display()
            ))),
            false => Ok(()),
        }
    }

    /// Takes what the objects of manifests are now from the API server: it fills in fields, and
    /// controllers do.
    pub(super) async fn refresh(&mut self, visitor: &Visitor) -> anyhow::Result<()> {
        let given = self.objects.iter_mut();
        let given = given.filter_map(|(id, hash)| Some((id, hash.as_mut()?)));
        let asked = given.map(|(id, hash)| async move {
            let object = visitor.object(id).await?;
            *hash = object.as_ref().and_then(fingerprint).unwrap_or_default();
            anyhow::Ok(())
        });
        let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
        while let Some(done) = asked.next().await {
            done?;
        }
        Ok(())
    }

    /// Whether a change may be about one of the objects.
    pub(super) fn concerns(&self, change: &ChangeRow) -> bool {
        if self.objects.is_empty() || change.origins.len() < change.origins_total {
            return true;
        }
        let is_of = |origin: &String| {
            // What a Service has on one node is the Service's.
            let words = origin.match_indices(' ').nth(1);
            let service = words.map_or(&**origin, |(at, _)| &origin[..at]);
            self.services.contains(service)
        };
        let is_cause = |object: &str| {
            let id: Result<ObjectId, _> = object.parse();
            id.is_ok_and(|id| self.objects.contains_key(&id))
        };
        change.origins.iter().any(is_of)
            || change.causes.iter().any(|cause| is_cause(&cause.object))
    }

    /// What it is, in words.
    pub(super) fn sentence(&self) -> String {
        let count = |kind| self.objects.keys().filter(|id| id.kind == kind).count();
        let services = count(ObjectKind::Service);
        let slices = count(ObjectKind::EndpointSlice);
        let mut words = Vec::new();
        match (self.objects.keys().next(), self.objects.len()) {
            (None, _) => words.push("everything".to_owned()),
            (Some(id), 1) => words.push(id.to_string()),
            _ => {
                if services > 0 {
                    words.push(counted(services, "Service", "Services"));
                }
                if slices > 0 {
                    words.push(counted(slices, "EndpointSlice", "EndpointSlices"));
                }
            }
        }
        let mut text = words.join(" and ");
        if self.others > 0 {
            let others = counted(self.others, "object", "objects");
            text.push_str(&format!(" (not looked at: {others} of other kinds)"));
        }
        text
    }
}
