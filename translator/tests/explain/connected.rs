//! What is said of a connected proxy.

use seaway_translator::{Options, Question, Role, Served, Taken, View, Viewpoint};

use crate::support::{World, service, slice, view};

/// Of a connected proxy nothing is left open: where it is, and that it is on no Node.
#[test]
fn a_connected_proxy_is_where_it_says_and_nowhere_else() {
    let mut world = World::new(Options::default());
    world.apply([
        service("web", "10.96.0.1", ", internalTrafficPolicy: Local"),
        slice("web-1", "web", "[{addresses: [10.1.0.1], nodeName: n1}]"),
    ]);
    let question = Question::read("d/web", "d").unwrap();
    let said = |viewpoint| world.translator.explain(&question, &viewpoint);
    let at_n1 = said(Viewpoint::of_connected(view(Role::Node, "n1", "za")));
    let verdict = "A new connection at node n1 to 10.96.0.1:80 goes to 10.1.0.1:8080.";
    assert_eq!(at_n1.sections[0].verdict, [verdict]);
    let any = said(Viewpoint::of(View::of(Role::Mesh)));
    let (verdict, rows) = (&any.sections[0].verdict, &any.sections[0].endpoints);
    assert!(verdict[0].contains("if that is n1"), "{verdict:?}");
    assert_eq!((any.served, rows[0].taken), (Served::Yes, Taken::Local));
    let placeless = said(Viewpoint::of_connected(View::of(Role::Mesh)));
    let (verdict, rows) = (
        &placeless.sections[0].verdict,
        &placeless.sections[0].endpoints,
    );
    let expected = "A new request to web.d:80 is answered with 503: no endpoint on the proxy's own \
                    node (it names none) can take it.";
    assert_eq!(verdict[..], [expected]);
    assert_eq!((placeless.served, rows[0].taken), (Served::No, Taken::No));
}
