//! A follower that remembers its last run.

use prometheus_client::registry::Registry;

use super::*;
use crate::admin::health::Health;
use crate::source::checkpoint::{self, Loaded};

/// Longer than a test takes.
const NEVER: Duration = Duration::from_secs(600);

impl Following {
    fn checkpoint(outer: &Path) -> (Option<Loaded>, checkpoint::Keeper) {
        let metrics = checkpoint::Metrics::register(&mut Registry::default());
        checkpoint::open(&outer.join("checkpoint"), "files:m", &metrics).unwrap()
    }

    /// Ends the follower, does something, and starts another one.
    fn restart(&mut self, meanwhile: impl FnOnce(&Path), grace: Duration) -> Health {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
        let outer = self.outer.path();
        meanwhile(&outer.join("m"));
        let health = Health::default();
        let (found, keeper) = Following::checkpoint(outer);
        let memory = Memory {
            found,
            keeper,
            grace,
            health: health.clone(),
        };
        let (sender, updates) = async_mpsc::channel(16);
        let root = outer.join("m");
        let (follow, stop) = Follow::new(root, sender, self.errors.clone(), Some(memory));
        self.updates = updates;
        self.stop = Some(stop);
        self.thread = Some(std::thread::spawn(|| follow.run()));
        health
    }

    /// What the checkpoint on disk holds.
    fn kept(&self) -> Vec<String> {
        let (found, _) = Following::checkpoint(self.outer.path());
        let entry = |entry: checkpoint::Entry| {
            let file = entry.file.as_deref().unwrap_or_default();
            format!("{file}: {}", entry.object.id())
        };
        found.unwrap().entries.into_iter().map(entry).collect()
    }

    /// Waits until the world is no longer stale, or is.
    fn await_stale(&self, health: &Health, stale: bool) {
        let begin = Instant::now();
        while health.stale().is_some() != stale {
            assert!(begin.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Two files, each with a Service, told by a follower that keeps them.
fn two() -> Following {
    let mut following =
        Following::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 1))]);
    following.restart(|_| {}, NEVER);
    assert_eq!(
        said(Some(following.next())),
        ["+Service default/a", "+Service default/b"]
    );
    following
}

#[test]
fn what_is_outstanding_is_saved_at_the_end() {
    let mut following = two();
    following.restart(|_| {}, NEVER);
    assert_eq!(
        following.kept(),
        ["a.yaml: Service default/a", "b.yaml: Service default/b"]
    );
}

#[test]
fn a_file_that_broke_meanwhile_loses_nothing_and_one_that_went_does() {
    let mut following = two();
    let change = |root: &Path| {
        fs::write(root.join("a.yaml"), "kind: [").unwrap();
        fs::remove_file(root.join("b.yaml")).unwrap();
        fs::write(root.join("c.yaml"), service("c", 1)).unwrap();
    };
    let health = following.restart(change, NEVER);
    let first = following.next();
    assert!(first.synced);
    let expected = [
        "+Service default/a",
        "+Service default/b",
        "+Service default/c",
        "!File a.yaml document 1, line 1",
    ];
    assert_eq!(
        said(Some(first)),
        expected,
        "nothing of the folder is missing at the start"
    );
    following.until("-Service default/b");
    assert_eq!(health.stale(), None);
    // And once more: what the broken file gave is kept although nobody read it in the second life.
    following.restart(|_| {}, NEVER);
    assert_eq!(
        following.kept(),
        ["a.yaml: Service default/a", "c.yaml: Service default/c"]
    );
}

#[test]
fn a_folder_that_is_away_is_served_after_the_grace_and_replaced_without_a_gap() {
    let mut following = two();
    let grace = Duration::from_millis(300);
    let begin = Instant::now();
    let health = following.restart(|root| fs::remove_dir_all(root).unwrap(), grace);
    let first = following.next();
    assert!(begin.elapsed() >= grace && first.synced);
    assert_eq!(
        said(Some(first)),
        ["+Service default/a", "+Service default/b", "!Folder ."]
    );
    let stale = health.stale().unwrap().to_string();
    assert!(stale.contains("/m: No such file"), "{stale}");

    fs::create_dir(following.path("")).unwrap();
    following.write("a.yaml", &service("a", 2));
    let said = following.until("-Service default/b");
    let changes: Vec<_> = said.iter().filter(|said| !said.starts_with('!')).collect();
    assert_eq!(changes, ["+Service default/a", "-Service default/b"]);
    following.await_stale(&health, false);
    following.restart(|_| {}, NEVER);
    assert_eq!(following.kept(), ["a.yaml: Service default/a"]);
}

#[test]
fn a_stale_world_is_never_saved() {
    let mut following = two();
    let health = following.restart(|root| fs::remove_dir_all(root).unwrap(), Duration::ZERO);
    following.next();
    assert!(health.stale().is_some());
    let file = following.outer.path().join("checkpoint/checkpoint.jsonl");
    // A save would bring it back.
    fs::remove_file(&file).unwrap();
    following.restart(|_| {}, NEVER);
    assert!(!file.exists());
}

#[test]
fn a_folder_that_is_empty_at_the_start_may_not_be_there_yet() {
    let mut following = two();
    let empty = |root: &Path| {
        fs::remove_dir_all(root).unwrap();
        fs::create_dir(root).unwrap();
    };
    let health = following.restart(empty, Duration::from_millis(1500));
    let first = said(Some(following.next()));
    assert_eq!(
        first,
        ["+Service default/a", "+Service default/b", "!Folder ."]
    );
    assert!(health.stale().unwrap().why.contains("the folder is empty"));
    following.write("b.yaml", &service("b", 1));
    following.until("-Service default/a");
    following.await_stale(&health, false);
}

#[test]
fn without_a_checkpoint_a_broken_file_gives_nothing() {
    let mut following = two();
    let change = |root: &Path| {
        fs::write(root.join("a.yaml"), "kind: [").unwrap();
        fs::remove_dir_all(root.parent().unwrap().join("checkpoint")).unwrap();
    };
    following.restart(change, NEVER);
    let expected = ["+Service default/b", "!File a.yaml document 1, line 1"];
    assert_eq!(said(Some(following.next())), expected);
}

/// A checkpoint has no Secrets: until the folder has been read, those that are named are awaited.
#[test]
fn secrets_are_awaited_until_the_folder_has_been_read() {
    let ingress = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"ingressClassName": "seaway", "tls": [{"secretName": "s"}]}}"#;
    let secret = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {}}"#;
    let mut following = Following::new(&[("i.json", ingress), ("s.json", secret)]);
    following.restart(|_| {}, NEVER);
    let all = ["+Ingress default/i", "+Secret default/s"];
    let first = following.next();
    assert!(!first.awaits_secrets, "they are there");
    assert_eq!(said(Some(first)), all);
    following.restart(|_| {}, NEVER);
    assert_eq!(following.kept(), ["i.json: Ingress default/i"]);
    following.restart(|root| fs::remove_dir_all(root).unwrap(), Duration::ZERO);
    let first = following.next();
    assert!(first.awaits_secrets);
    assert_eq!(said(Some(first)), ["+Ingress default/i", "!Folder ."]);
    // File by file.
    fs::create_dir(following.path("")).unwrap();
    following.write(
        "i.json",
        &ingress.replace("{\"name\": \"i\"}", "{\"name\": \"j\"}"),
    );
    let update = following.next();
    assert!(update.awaits_secrets, "{update:?}");
    following.write("s.json", secret);
    loop {
        let update = following.next();
        let awaits = update.awaits_secrets;
        let is_there = said(Some(update)).contains(&all[1].to_owned());
        assert_eq!(awaits, !is_there);
        if is_there {
            break;
        }
    }
}
