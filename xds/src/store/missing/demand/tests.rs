use futures::FutureExt;
use proptest::prelude::*;

use super::*;

fn stream(demand: &Arc<Demand>) -> DemandedNames {
    let on_demand = OnDemand {
        type_url: TypeUrl::LISTENER,
        may_be: Arc::new(|name| !name.starts_with("no")),
    };
    DemandedNames::new(demand.clone(), on_demand)
}

fn world() -> (Arc<Demand>, Demands) {
    let demand = Arc::new(Demand::default());
    (demand.clone(), Demands::new(demand))
}

fn taken(demands: &mut Demands) -> Vec<(String, bool)> {
    let taken = demands.take().into_iter();
    taken.map(|(name, is)| (name.to_string(), is)).collect()
}

fn said(name: &str, is_wanted: bool) -> (String, bool) {
    (name.to_owned(), is_wanted)
}

#[test]
fn the_first_who_asks_and_the_last_who_leaves_are_told() {
    let (demand, mut demands) = world();
    let (mut one, mut two) = (stream(&demand), stream(&demand));
    one.change(&["a", "b", "b"], &[]);
    two.replace(&["b", "c"]);
    assert_eq!(
        taken(&mut demands),
        ["a", "b", "c"].map(|name| said(name, true))
    );
    two.replace(&["c"]);
    assert_eq!(taken(&mut demands), []);
    one.change(&[], &["b", "b", "never"]);
    assert_eq!(taken(&mut demands), [said("b", false)]);
    drop(one);
    two.change(&["a"], &[]);
    assert_eq!(taken(&mut demands), [], "wanted all the while");
    drop(two);
    assert_eq!(
        taken(&mut demands),
        ["a", "c"].map(|name| said(name, false))
    );
    assert!(demand.names().streams.is_empty() && demand.names().changed.is_empty());
}

#[test]
fn who_asks_waits_until_it_is_made_also_if_another_asked_before() {
    let (demand, mut demands) = world();
    let (mut one, mut two) = (stream(&demand), stream(&demand));
    one.change(&["a"], &[]);
    demands.take();
    two.change(&["a"], &[]);
    let awaited = two.take_awaited();
    assert_eq!(awaited, one.take_awaited());
    assert!(awaited > Some(*demand.made.borrow()));
    demands.settle();
    assert_eq!(awaited, Some(*demand.made.borrow()));
    two.change(&[], &["a"]);
    two.change(&["a"], &[]);
    assert_eq!(two.take_awaited(), None, "it is there");
    one.change(&["no", "nothing"], &[]);
    assert_eq!(one.take_awaited(), None, "nothing is made of it");
}

#[test]
fn a_name_that_came_and_went_is_not_kept() {
    let (demand, _) = world();
    for number in 0..100 {
        let mut one = stream(&demand);
        one.change(&[&format!("n{number}")], &[]);
        assert_eq!(demand.names().changed.len(), 1);
    }
    assert!(demand.names().changed.is_empty());
}

#[test]
fn a_wait_for_a_name_that_came_and_went_ends() {
    let (demand, mut demands) = world();
    let mut one = stream(&demand);
    one.change(&["n0"], &[]);
    let awaited = one.take_awaited();
    one.change(&[], &["n0"]);
    assert_eq!(demands.changed().now_or_never(), Some(()));
    assert_eq!(demands.take(), []);
    demands.settle();
    assert_eq!(awaited, Some(*demand.made.borrow()));
}

#[test]
fn a_name_that_went_and_came_back_is_waited_for_until_it_is_made() {
    let (demand, mut demands) = world();
    let mut one = stream(&demand);
    one.change(&["a"], &[]);
    demands.take();
    one.take_awaited();
    // Taken, and not made yet.
    one.change(&[], &["a"]);
    one.change(&["a"], &[]);
    let awaited = one.take_awaited();
    assert!(awaited > Some(*demand.made.borrow()));
    demands.settle();
    assert_eq!(awaited, Some(*demand.made.borrow()));
    // Its end is taken: what comes after is asked for anew.
    one.change(&[], &["a"]);
    assert_eq!(taken(&mut demands), [said("a", false)]);
    one.change(&["a"], &[]);
    demands.settle();
    assert!(one.take_awaited() > Some(*demand.made.borrow()));
    assert_eq!(taken(&mut demands), [said("a", true)]);
}

#[test]
fn a_name_in_both_lists_of_a_request_is_not_wanted() {
    let (demand, mut demands) = world();
    let mut one = stream(&demand);
    one.change(&["a", "b"], &["a"]);
    assert_eq!(taken(&mut demands), [said("b", true)]);
    one.change(&["b"], &["b"]);
    assert_eq!(taken(&mut demands), [said("b", false)]);
    assert!(demand.names().streams.is_empty());
    assert_eq!(one.bytes(), 0);
}

#[test]
fn a_stream_has_so_many_names_made_and_pays_for_them_rule_218() {
    let (demand, mut demands) = world();
    let mut one = stream(&demand);
    let names: Vec<String> = (0..10_000).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    one.replace(&names);
    assert_eq!(demands.take().len(), NAMES_OF_STREAM);
    assert!(one.bytes() > NAMES_OF_STREAM * MADE);
    // What is made already stays, whatever comes beside it.
    let last: Vec<&str> = names.iter().rev().copied().collect();
    one.replace(&last);
    assert_eq!(demands.take(), []);
    one.change(&["more"], &names);
    assert_eq!(taken(&mut demands).iter().filter(|(_, is)| *is).count(), 1);
    one.replace(&["no", "nothing"]);
    assert_eq!(taken(&mut demands), [said("more", false)]);
    assert_eq!(one.bytes(), 0);
}

proptest! {
    /// Whoever hears of all changes knows what is wanted, whenever it listens.
    #[test]
    fn what_is_told_adds_up(
        steps in prop::collection::vec((0..3usize, prop::collection::vec(0..5u8, 0..4), 0..4u8), 0..40),
    ) {
        let (demand, mut demands) = world();
        let mut streams: Vec<DemandedNames> = (0..3).map(|_| stream(&demand)).collect();
        let mut known: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut wanted: Vec<BTreeSet<String>> = vec![BTreeSet::new(); 3];
        for (number, names, how) in steps {
            let names: Vec<String> = names.iter().map(|name| format!("n{name}")).collect();
            let texts: Vec<&str> = names.iter().map(String::as_str).collect();
            match how {
                0 => {
                    streams[number].change(&texts, &[]);
                    wanted[number].extend(names);
                }
                1 => {
                    streams[number].change(&[], &texts);
                    wanted[number].retain(|name| !names.contains(name));
                }
                2 => {
                    streams[number].replace(&texts);
                    wanted[number] = names.into_iter().collect();
                }
                _ => {
                    streams[number] = stream(&demand);
                    wanted[number].clear();
                }
            }
            if number == 0 {
                for (name, is_wanted) in demands.take() {
                    let is_news = if is_wanted { known.insert(name) } else { known.remove(&name) };
                    prop_assert!(is_news);
                }
            }
        }
        for (name, is_wanted) in demands.take() {
            _ = if is_wanted { known.insert(name) } else { known.remove(&name) };
        }
        let known: BTreeSet<String> = known.iter().map(|name| name.to_string()).collect();
        prop_assert_eq!(known, wanted.into_iter().flatten().collect());
    }
}
