//! What is shown of plans to people: a Service in one line ([`summary`]), and the answer to a
//! question: what becomes of a connection or a request, and what decided that. An answer is made
//! anew from the plans of which messages are made, and never from anything else.

mod address;
mod addresses;
pub(crate) mod answer;
pub(crate) mod asker;
pub(crate) mod draft;
mod endpoints;
mod external;
mod ingress;
mod mesh;
mod object;
pub(crate) mod question;
mod service;
pub(crate) mod summary;
pub(crate) mod viewpoint;
mod words;

use crate::Role;
use asker::Asker;
use draft::Draft;
use question::Question;

/// Adds to a draft what is to say about a question. A resource is not looked for here: that needs
/// the messages.
pub(crate) fn answer(asker: &Asker<'_>, question: &Question, draft: &mut Draft) {
    match question {
        Question::Service(key, port) => service::answer(asker, key, port.as_ref(), draft),
        Question::Address(socket, protocol) => address::answer(asker, (*socket, *protocol), draft),
        Question::Request(request) => match asker.view.role {
            Role::Ingress => ingress::answer(asker, request, draft),
            Role::Node | Role::Mesh | Role::Grpc => mesh::answer(asker, request, draft),
        },
        Question::Object(id) => object::answer(asker, id, draft),
        Question::Resource(_) => {}
    }
}
