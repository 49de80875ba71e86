//! What is said of objects that a source cannot read.

use seaway_translator::{Options, Problem, Question, Reason, Role, Severity, View, Viewpoint};

use crate::support::{World, service};

/// The facts and problems of the answer, each as a line.
fn said(world: &World, question: &str, role: Role) -> String {
    let question = Question::read(question, "default").unwrap();
    let viewpoint = Viewpoint::of(View::of(role));
    let answer = world.translator.explain(&question, &viewpoint);
    let facts = answer.sections.iter().flat_map(|section| &section.facts);
    let facts = facts.map(|fact| format!("{}: {}", fact.label, fact.text));
    let problems = answer.problems.iter();
    let problems = problems.map(|problem| format!("{} {}", problem.object, problem.field));
    facts.chain(problems).collect::<Vec<_>>().join("\n")
}

fn unread(object: &str, field: &str) -> Problem {
    Problem::error(object, field, Reason::InvalidValue, "it is bad")
}

#[test]
fn what_cannot_be_read_is_named_and_what_was_read_before_is_told_from_it() {
    let mut world = World::new(Options::default());
    let problems = [
        unread("Service d/web", "spec.ports[0].port"),
        unread("EndpointSlice d/web-1", "endpoints[0]"),
        unread("Gateway d/edge", "spec"),
    ];
    world.translator.set_unread(&problems);
    let bad = said(&world, "d/web", Role::Node);
    assert!(
        bad.contains("service: Service d/web cannot be read\n"),
        "{bad}"
    );
    assert!(bad.contains("\nService d/web spec.ports[0].port"), "{bad}");
    assert!(
        bad.contains("\nEndpointSlice d/web-1 endpoints[0]"),
        "{bad}"
    );
    let by_name = said(&world, "http://web.d/", Role::Mesh);
    assert!(
        by_name.contains("host: Service d/web cannot be read"),
        "{by_name}"
    );
    let gateway = said(&world, "gateway/d/edge", Role::Node);
    assert!(
        gateway.contains("object: Gateway d/edge cannot be read"),
        "{gateway}"
    );
    // The last good version is served.
    world.apply([service("web", "10.96.0.1", "")]);
    let old = said(&world, "d/web", Role::Node);
    assert!(
        old.contains("content: Service d/web cannot be read"),
        "{old}"
    );
    assert!(
        old.contains("endpoints: none: EndpointSlice d/web-1 cannot be read"),
        "{old}"
    );
    // A warning of the source says nothing of the sort, but is there.
    let mut caveat = unread("Service d/web", "");
    caveat.severity = Severity::Warning;
    world.translator.set_unread([&caveat]);
    let good = said(&world, "d/web", Role::Node);
    assert!(!good.contains("cannot be read"), "{good}");
    assert!(good.ends_with("\nService d/web "), "{good}");
}
