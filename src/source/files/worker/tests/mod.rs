//! The whole source over real folders, changed the way people and tools change them.

mod checkpoint;

use std::fs;
use std::os::unix::fs::symlink;
use std::thread::JoinHandle;

use super::*;
use crate::source::files::testing::{said, service};

/// Longer than any of the source's own waits.
const PATIENCE: Duration = Duration::from_secs(20);

struct Following {
    /// Holds the folder that is followed, so that it can be replaced.
    outer: tempfile::TempDir,
    updates: async_mpsc::Receiver<Update>,
    runtime: tokio::runtime::Runtime,
    errors: Counter,
    marks: u32,
    stop: Option<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    /// Follows a folder with these files, the world already told.
    fn new(files: &[(&str, &str)]) -> Following {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("m");
        fs::create_dir(&root).unwrap();
        for (name, text) in files {
            fs::write(root.join(name), text).unwrap();
        }
        let (sender, updates) = async_mpsc::channel(16);
        let errors = Counter::default();
        let (follow, stop) = Follow::new(root, sender, errors.clone(), None);
        let mut following = Following {
            outer,
            updates,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
            errors,
            marks: 0,
            stop: Some(stop),
            thread: Some(std::thread::spawn(|| follow.run())),
        };
        let first = following.next();
        assert!(first.synced);
        assert_eq!(first.changes.len(), files.len());
        following
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join("m").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn next(&mut self) -> Update {
        let next = async { tokio::time::timeout(PATIENCE, self.updates.recv()).await };
        self.runtime
            .block_on(next)
            .expect("the source says something")
            .unwrap()
    }

    /// All that is said until this is among it.
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut all = Vec::new();
        while !all.iter().any(|said| said == last) {
            all.extend(said(Some(self.next())));
        }
        all
    }

    /// All that is said of what was done so far.
    fn settled(&mut self) -> Vec<String> {
        self.marks += 1;
        let mark = format!("mark{}", self.marks);
        // A file that goes is the slowest to be believed: whatever was done before it has been said
        // when it is.
        self.write(&format!("{mark}.yaml"), &service(&mark, 1));
        let mut all = self.until(&format!("+Service default/{mark}"));
        fs::remove_file(self.path(&format!("{mark}.yaml"))).unwrap();
        all.extend(self.until(&format!("-Service default/{mark}")));
        all.retain(|said| !said.contains("/mark"));
        all
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn an_empty_folder_is_a_world() {
    let mut following = Following::new(&[]);
    following.write("a.yaml", &service("a", 1));
    assert_eq!(
        following.until("+Service default/a"),
        ["+Service default/a"]
    );
}

#[test]
fn saves_of_all_sorts_are_one_change() {
    let mut following = Following::new(&[("a.yaml", &service("a", 1))]);
    let temporary = following.path(".a.yaml.tmp");
    fs::write(&temporary, service("a", 2)).unwrap();
    fs::rename(&temporary, following.path("a.yaml")).unwrap();
    assert_eq!(
        following.settled(),
        ["+Service default/a"],
        "written aside and renamed"
    );

    following.write("a.yaml", &service("a", 3));
    assert_eq!(
        following.settled(),
        ["+Service default/a"],
        "truncated and written"
    );

    fs::rename(following.path("a.yaml"), following.path("a.yaml~")).unwrap();
    following.write("a.yaml", &service("a", 4));
    fs::remove_file(following.path("a.yaml~")).unwrap();
    assert_eq!(
        following.settled(),
        ["+Service default/a"],
        "moved away and written anew"
    );

    following.write("4913", "");
    fs::remove_file(following.path("4913")).unwrap();
    following.write(".a.yaml.swp", &service("b", 4));
    assert_eq!(following.settled(), [] as [&str; 0], "editors' own files");
}

#[test]
fn a_half_written_file_is_waited_for() {
    use std::io::Write;
    let text = format!("{}---\n{}", service("a", 1), service("b", 1));
    let mut following = Following::new(&[("c.yaml", &service("c", 1))]);
    following.write("a.yaml", &text);
    following.until("+Service default/b");
    let mut file = fs::File::create(following.path("a.yaml")).unwrap();
    file.write_all(service("a", 2).as_bytes()).unwrap();
    assert_eq!(following.settled(), [] as [&str; 0]);
    file.write_all(format!("---\n{}", service("b", 2)).as_bytes())
        .unwrap();
    drop(file);
    assert_eq!(
        following.settled(),
        ["+Service default/a", "+Service default/b"]
    );
}

#[test]
fn an_empty_file_is_believed_after_a_while() {
    let mut following = Following::new(&[("a.yaml", &service("a", 1))]);
    following.write("a.yaml", "");
    following.write("a.yaml", &service("a", 2));
    assert_eq!(following.settled(), ["+Service default/a"]);
    following.write("a.yaml", "");
    assert_eq!(
        following.until("-Service default/a"),
        ["-Service default/a"]
    );
}

#[test]
fn deleted_and_renamed_files() {
    let mut following =
        Following::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 1))]);
    fs::rename(following.path("a.yaml"), following.path("z.yaml")).unwrap();
    let said = following.settled();
    assert!(
        said.iter().all(|said| said.starts_with('?')),
        "two files have it for a moment: {said:?}"
    );
    fs::remove_file(following.path("z.yaml")).unwrap();
    assert_eq!(following.settled(), ["-Service default/a"]);
}

#[test]
fn folders_below_are_followed_and_links_too() {
    let mut following = Following::new(&[]);
    let outside = following.outer.path().join("outside.yaml");
    fs::write(&outside, service("out", 1)).unwrap();
    symlink(&outside, following.path("link.yaml")).unwrap();
    assert_eq!(following.settled(), ["+Service default/out"]);
    symlink(following.outer.path().join("m"), following.path("loop")).unwrap();
    assert_eq!(
        following.settled(),
        [] as [&str; 0],
        "a link to a folder around it"
    );
    fs::create_dir_all(following.path("x/y")).unwrap();
    following.write("x/y/deep.yaml", &service("deep", 1));
    following.until("+Service default/deep");
    fs::remove_file(following.path("loop")).unwrap();
    following.write("x/y/deep.yaml", &service("deep", 2));
    following.until("+Service default/deep");
    fs::remove_dir_all(following.path("x")).unwrap();
    following.until("-Service default/deep");
}

#[test]
fn a_mounted_volume_changes_by_one_link() {
    let mut following = Following::new(&[]);
    let volume = |following: &Following, name: &str, port: u16| {
        fs::create_dir(following.path(name)).unwrap();
        for file in ["a", "b"] {
            following.write(&format!("{name}/{file}.yaml"), &service(file, port));
        }
        symlink(name, following.path("..data_tmp")).unwrap();
        fs::rename(following.path("..data_tmp"), following.path("..data")).unwrap();
    };
    volume(&following, "..1", 1);
    symlink("..data/a.yaml", following.path("a.yaml")).unwrap();
    symlink("..data/b.yaml", following.path("b.yaml")).unwrap();
    following.until("+Service default/b");
    following.settled();
    volume(&following, "..2", 2);
    fs::remove_dir_all(following.path("..1")).unwrap();
    let update = following.next();
    assert_eq!(
        said(Some(update)),
        ["+Service default/a", "+Service default/b"],
        "all at once"
    );
    assert_eq!(following.settled(), [] as [&str; 0]);
}

#[test]
fn a_folder_that_vanishes_takes_nothing_with_it() {
    let mut following =
        Following::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 1))]);
    fs::remove_dir_all(following.outer.path().join("m")).unwrap();
    assert_eq!(following.until("!Folder ."), ["!Folder ."]);
    assert!(following.errors.get() > 0);
    fs::create_dir(following.outer.path().join("m")).unwrap();
    following.write("a.yaml", &service("a", 2));
    let said = following.until("-Service default/b");
    let changes: Vec<_> = said.iter().filter(|said| !said.starts_with('!')).collect();
    assert_eq!(
        changes,
        ["+Service default/a", "-Service default/b"],
        "what it lacks goes last"
    );
    following.write("a.yaml", &service("a", 3));
    assert_eq!(
        following.settled(),
        ["+Service default/a"],
        "the new folder is followed"
    );
}

#[test]
fn a_folder_that_is_replaced_is_taken_over() {
    let mut following = Following::new(&[("a.yaml", &service("a", 1))]);
    let (root, other) = (
        following.outer.path().join("m"),
        following.outer.path().join("other"),
    );
    fs::create_dir(&other).unwrap();
    fs::write(other.join("b.yaml"), service("b", 1)).unwrap();
    fs::rename(&root, following.outer.path().join("old")).unwrap();
    fs::rename(&other, &root).unwrap();
    let said = following.until("-Service default/a");
    assert!(said.contains(&"+Service default/b".to_owned()), "{said:?}");
}

#[test]
fn a_file_too_large_keeps_its_last_state() {
    let mut following = Following::new(&[("a.yaml", &service("a", 1))]);
    let file = fs::File::options()
        .write(true)
        .open(following.path("a.yaml"))
        .unwrap();
    file.set_len(scan::MAX_BYTES + 1).unwrap();
    drop(file);
    assert_eq!(following.until("!File a.yaml"), ["!File a.yaml"]);
}

#[test]
fn what_a_link_leads_to_is_followed_as_closely() {
    let other = tempfile::tempdir().unwrap();
    for folder in ["one", "two"] {
        fs::create_dir(other.path().join(folder)).unwrap();
    }
    let mut following = Following::new(&[]);
    let link = following.path("link");
    symlink(other.path().join("one"), &link).unwrap();
    following.settled();
    let soon = RESCAN / 2;
    let began = Instant::now();
    fs::write(other.path().join("one/a.yaml"), service("a", 1)).unwrap();
    following.until("+Service default/a");
    // A link is turned by a rename.
    symlink(other.path().join("two"), following.path("new")).unwrap();
    fs::rename(following.path("new"), &link).unwrap();
    following.until("-Service default/a");
    fs::create_dir(other.path().join("two/below")).unwrap();
    fs::write(other.path().join("two/below/b.yaml"), service("b", 1)).unwrap();
    following.until("+Service default/b");
    assert!(began.elapsed() < soon, "{:?}", began.elapsed());
}
