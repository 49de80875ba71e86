//! Files that are no ordinary files, folders that never end, names that are no UTF-8: refused or
//! reported, never waited for.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::log::{ended, serve};
use crate::{WEB, folder, seaway, text};

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// The exit code and what is said on standard error, of a command that ends soon and takes little
/// memory.
#[track_caller]
fn ends(args: &[&str], env: &[(&str, &Path)]) -> (Option<i32>, String) {
    let mut child = seaway(args)
        .envs(env.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let code = ended(&mut child).code();
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    (code, said)
}

/// A pipe that nobody writes to, and a device that never ends, each as a link of this name in a
/// folder.
fn strange(name: &str) -> [tempfile::TempDir; 2] {
    let (piped, endless) = (folder(&[]), folder(&[]));
    pipe(&piped.path().join(name));
    symlink("/dev/zero", endless.path().join(name)).unwrap();
    [piped, endless]
}

#[test]
fn a_checkpoint_that_is_no_file_is_refused() {
    let manifests = folder(&[("a.yaml", WEB)]);
    for kept in strange("checkpoint.jsonl") {
        pipe(&kept.path().join(".checkpoint-a.tmp"));
        let more = ["--checkpoint", text(kept.path())];
        drop(serve(manifests.path(), &more, Stdio::null()));
    }
}

#[test]
fn certificates_that_are_no_files_are_refused() {
    let manifests = folder(&[("a.yaml", WEB)]);
    for strange in strange("tls.crt") {
        let file = strange.path().join("tls.crt");
        let mut args = vec!["serve", "--files", text(manifests.path())];
        args.extend(["--tls-cert", text(&file), "--tls-key", text(&file)]);
        let (code, said) = ends(&args, &[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("--tls-cert") && said.contains("regular file"));
    }
}

#[test]
fn a_kubeconfig_that_is_no_file_is_refused() {
    for strange in strange("config") {
        let file = strange.path().join("config");
        let (code, said) = ends(&["serve", "--kube"], &[("KUBECONFIG", &file)]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("regular file"), "{said}");
    }
}

#[test]
fn files_that_a_kubeconfig_names_are_files() {
    for (cluster, user) in [
        ("certificate-authority: strange", ""),
        ("insecure-skip-tls-verify: true", "tokenFile: strange"),
        (
            "insecure-skip-tls-verify: true",
            "client-certificate: strange, client-key: strange",
        ),
    ] {
        let config = format!(
            "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}],\n\
             clusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:1', {cluster}}}}}], users: [{{name: a, user: {{{user}}}}}]}}"
        );
        for strange in strange("strange") {
            let file = strange.path().join("config");
            fs::write(&file, &config).unwrap();
            let (code, said) = ends(&["serve", "--kube"], &[("KUBECONFIG", &file)]);
            assert_eq!(code, Some(2), "{config}: {said}");
            assert!(said.contains("regular file"), "{config}: {said}");
        }
    }
}

#[test]
fn manifests_that_are_no_files_are_not_waited_for() {
    for strange in strange("b.yaml") {
        fs::write(strange.path().join("a.yaml"), WEB).unwrap();
        let (code, said) = ends(&["translate", "--files", text(strange.path())], &[]);
        assert_eq!(code, Some(0), "{said}");
        drop(serve(strange.path(), &[], Stdio::null()));
    }
}

/// Each of them leads to each other one: there are thirteen thousand ways through seven, and a
/// billion through twelve.
fn maze(root: &Path) {
    let names: Vec<String> = (0..12).map(|number| format!("f{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        fs::create_dir(root.join(name)).unwrap();
        let file = WEB.replace("web", name);
        let file = file.replace("10.96.0.1", &format!("10.96.1.{number}"));
        fs::write(root.join(name).join("a.yaml"), file).unwrap();
        for other in names.iter().filter(|other| *other != name) {
            symlink(format!("../{other}"), root.join(name).join(other)).unwrap();
        }
    }
}

#[test]
fn folders_that_lead_to_each_other_are_read_once() {
    let root = folder(&[]);
    maze(root.path());
    let (code, said) = ends(&["translate", "--files", text(root.path())], &[]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let (mut child, admin) = serve(root.path(), &[], Stdio::null());
    crate::log::goes_on_and_ends(root.path(), &mut child, &admin);
}

#[test]
fn a_name_that_is_no_utf_8_is_reported_by_each_command() {
    let root = folder(&[("a.yaml", WEB)]);
    let name = OsStr::from_bytes(b"caf\xe9.yaml");
    fs::write(root.path().join(name), WEB.replace("web", "other")).unwrap();
    fs::create_dir(root.path().join(OsStr::from_bytes(b"d\xe9"))).unwrap();
    let output = seaway(&["translate", "--files", text(root.path())])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = printed["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    for problem in problems {
        let said = problem["message"].as_str().unwrap();
        assert!(said.contains("not UTF-8"), "{problem}");
    }
    let (_process, admin) = serve(root.path(), &[], Stdio::null());
    crate::log::eventually("serve reports the same", || {
        crate::log::metric(&admin, "seaway_problems{reason=\"Unreadable\"}") == 2.0
    });
}
