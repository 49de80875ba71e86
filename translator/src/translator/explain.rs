//! What is shown to people of the decisions, as of now. Nothing is changed, nor published.

use std::borrow::Cow;

use super::{Translator, resource};
use crate::place::active_views::Situation;
use crate::plan::Context;
use crate::plan::explain::asker::Asker;
use crate::plan::explain::draft::Draft;
use crate::plan::explain::question::Scheme;
use crate::plan::explain::{self};
use crate::{Answer, Client, Question, Role, Subject, View, Viewpoint};

impl Translator {
    /// What becomes of a connection or a request as of now, as a proxy has it, whether there is one
    /// like it or not; with the problems of what led there, as of the last flush. Nothing is
    /// changed, nor published.
    pub fn explain(&self, question: &Question, from: &Viewpoint) -> Answer {
        let mut view = self.at_its_node(from);
        // Whom a node serves by addresses alone, mesh proxies serve by name.
        match question {
            Question::Request(request) if request.scheme == Scheme::Xds => {
                view.to_mut().role = Role::Grpc;
            }
            Question::Request(_) if view.role == Role::Node => view.to_mut().role = Role::Mesh,
            _ => {}
        }
        let Situation { zone, imports } = self.situation(&view);
        // What is imported is what others have of it, too.
        let wide = Situation {
            zone: zone.clone(),
            imports: None,
        };
        let asker = Asker {
            context: self.context(),
            view: &view,
            zone,
            imports,
            layers: self.layers(&view, &wide),
            client: from.client,
            is_whole: from.is_whole,
            unread: &self.unread,
        };
        let mut draft = Draft::default();
        match question {
            Question::Resource(name) => resource::answer(&asker, &self.units, name, &mut draft),
            _ => explain::answer(&asker, question, &mut draft),
        }
        if !matches!(question, Question::Object(_)) {
            draft.note(asker.where_nobody_is());
        }
        draft.end((question.to_string(), asker.who(), &view), |object| {
            let subject = Subject::from(object);
            let of_source = self.unread.of(object).iter();
            let own = self.problems.of(&subject);
            of_source.chain(own).chain(self.problems.told_of(subject))
        })
    }

    /// The view, at the node that the client's address says if the view itself says none: of an
    /// endpoint it is the endpoint's, else the one with that address or pod range.
    fn at_its_node<'v>(&self, from: &'v Viewpoint) -> Cow<'v, View> {
        let (view, Client::Address(ip)) = (&from.view, from.client) else {
            return Cow::Borrowed(&from.view);
        };
        if view.node.is_some() {
            return Cow::Borrowed(view);
        }
        let slices = self.index.slices_with(ip);
        let mut endpoints = slices.flat_map(|slice| &slice.endpoints);
        let endpoint = endpoints.find(|endpoint| endpoint.ip == ip && endpoint.node.is_some());
        let of_endpoint = endpoint.and_then(|endpoint| endpoint.node.clone());
        let node = of_endpoint.or_else(|| {
            let mut nodes = self.index.nodes();
            let node = nodes.find(|node| {
                let mut pods = node.pod_cidrs.iter();
                node.addresses.contains(&ip) || pods.any(|range| range.contains(&ip))
            });
            node.map(|node| node.name.clone())
        });
        match node {
            Some(node) => Cow::Owned(View {
                node: Some(node),
                ..view.clone()
            }),
            None => Cow::Borrowed(view),
        }
    }

    /// What decisions are made from.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            options: &self.options,
            index: &self.index,
            views: &self.views,
            targets: &self.targets,
            rejections: &self.rejections,
            summaries: self.summaries.are_asked_for(),
        }
    }
}
