//! The watch of a kind of which only what other objects name is kept: waits until something is
//! named, and fetches by its name what is named only when the watch is past it.

use futures::AsyncBufRead;
use kube::api::{ListParams, Request};
use serde_json::value::RawValue;

use super::{LIST_PAUSE, MAX_OBJECT, Message, Stop, Watch, read_line};
use crate::kube::client::within;
use crate::kube::cursor::{Ask, Cursor, News};
use crate::kube::wire::{Failure, Page};

/// How many objects are fetched one by one. More of them, as of Ingresses that Seaway may read only
/// now, are listed.
const MANY: usize = 100;

impl Watch {
    /// Waits until there may be something to watch for.
    pub(in crate::kube) async fn needed(&self) {
        if let Some(wants) = &self.wants {
            wants.needed(&self.scope).await;
            self.health.needed();
        }
    }

    /// Waits for the next line, and fetches meanwhile what is asked for by name. `false`: the body
    /// has ended.
    pub(super) async fn next_line(
        &self,
        cursor: &Cursor,
        body: &mut (impl AsyncBufRead + Unpin),
        line: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        let pause = match cursor.ask() {
            Ask::StreamList => LIST_PAUSE.min(self.silence),
            _ => self.silence,
        };
        let mut reading = std::pin::pin!(within(pause, read_line(body, line)));
        loop {
            tokio::select! {
                biased;
                () = self.asked(cursor) => self.fetch(cursor).await?,
                () = self.health.freshness().list_wanted() => {
                    if matches!(cursor.ask(), Ask::Watch { .. }) {
                        return Err(Stop::Behind);
                    }
                }
                read = &mut reading => return Ok(read?),
            }
        }
    }

    /// Waits until there is something to fetch that a watch is past.
    async fn asked(&self, cursor: &Cursor) {
        match &self.wants {
            Some(wants) if matches!(cursor.ask(), Ask::Watch { .. }) => {
                wants.asked(&self.scope).await;
            }
            _ => std::future::pending().await,
        }
    }

    /// Fetches an object by its name and reports it as the watch would. Where an older line of the
    /// watch follows, the newer one follows that. It is a list of one, since only a list says for
    /// sure that there is no such object: a server that starts, and what is before it, may answer
    /// 404 to anything.
    async fn fetch(&self, cursor: &Cursor) -> Result<(), Stop> {
        let wants = self.wants.as_ref();
        let Some((wants, id)) = wants.and_then(|wants| Some((wants, wants.next(&self.scope)?)))
        else {
            return Ok(());
        };
        if wants.count(&self.scope) > MANY {
            return Err(Stop::Anew);
        }
        let resource = cursor.resource();
        let params = ListParams {
            field_selector: Some(format!("metadata.name={}", id.name)),
            ..ListParams::default()
        };
        let request = Request::new(resource.path(Some(&id.namespace))).list(&params)?;
        let asked = self.client.whole(request, MAX_OBJECT);
        let text = within(LIST_PAUSE.min(self.silence), asked).await?;
        let page = Page::parse(&text, resource)?;
        let read = |raw: &&RawValue| cursor.read(raw).transpose();
        let items: Result<Vec<_>, Failure> = page.items.iter().filter_map(read).collect();
        let found = items?.into_iter().find(|item| item.id == id);
        let message = match found {
            Some(item) => Message::News(self.number, News::Apply(Box::new(item))),
            None => Message::Nowhere(id.clone()),
        };
        self.news.send(message).await.map_err(|_| Stop::Unheard)?;
        wants.fetched(&self.scope, &id);
        Ok(())
    }

    /// Notes that a list begins.
    pub(super) fn begin_list(&self) {
        if let Some(wants) = &self.wants {
            wants.list(&self.scope);
        }
    }
}
