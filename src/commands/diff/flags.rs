//! Whether replicas translate as this command does: what differs with the flags differs for no
//! change of objects.

use clap::{Arg, Args, Command};

use crate::args::ShapeArgs;

/// What to say of each flag of translation that a replica was given otherwise than this command, if
/// there is one. Both sides are arguments, and variables as `NAME=VALUE`.
pub(super) fn note(replica: &str, theirs: &[String], ours: &[String]) -> Option<String> {
    let shape = ShapeArgs::augment_args(Command::new("shape"));
    let differing = shape.get_arguments().filter_map(|arg| {
        let flag = arg.get_long()?;
        let (theirs, ours) = (value(arg, theirs), value(arg, ours));
        (theirs != ours).then(|| format!("--{flag} {}, here {}", shown(&theirs), shown(&ours)))
    });
    let differing: Vec<String> = differing.collect();
    (!differing.is_empty()).then(|| {
        let all = differing.join("; ");
        format!("replica {replica} runs with other flags, by which resources differ: {all}")
    })
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "unset" } else { value }
}

/// The value of a flag: of the arguments, else of the environment, else the default.
fn value(arg: &Arg, told: &[String]) -> String {
    let of_arguments = arg
        .get_long()
        .map(|flag| given(&format!("--{flag}"), arg, told));
    if let Some(value) = of_arguments.filter(|value| !value.is_empty()) {
        return value;
    }
    let variable = arg
        .get_env()
        .map(|name| format!("{}=", name.to_string_lossy()));
    let of_environment =
        variable.and_then(|name| told.iter().find_map(|one| one.strip_prefix(&*name)));
    if let Some(value) = of_environment {
        return value.to_owned();
    }
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
    defaults.join(",")
}

/// What the arguments give a flag, each time that it is among them.
fn given(flag: &str, arg: &Arg, told: &[String]) -> String {
    let mut values: Vec<&str> = Vec::new();
    let mut rest = told.iter();
    while let Some(one) = rest.next() {
        if one == flag {
            let value = arg.get_action().takes_values().then(|| rest.next());
            values.push(value.flatten().map_or("true", String::as_str));
        } else if let Some(value) = one
            .strip_prefix(flag)
            .and_then(|rest| rest.strip_prefix('='))
        {
            values.push(value);
        }
    }
    values.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_flag_is_the_same_however_it_is_given() {
        let theirs = told("serve --kube --http-port 8080 SEAWAY_POD_CIDR=10.0.0.0/8");
        let ours = told("diff --from live --http-port=8080 --pod-cidr 10.0.0.0/8");
        assert_eq!(note("s1", &theirs, &ours), None);
        let plain = (told("serve --kube"), told("diff --from live --to ."));
        assert_eq!(note("s1", &plain.0, &plain.1), None);
    }

    #[test]
    fn a_flag_that_only_one_side_has_is_named_with_both_values() {
        let theirs = told("serve --kube --http-port 8080");
        let note = note("s1", &theirs, &told("diff --from live --to .")).unwrap();
        assert!(note.contains("replica s1"), "{note}");
        assert!(note.contains("--http-port 8080, here "), "{note}");
        assert!(!note.contains("--https-port"), "{note}");
    }

    #[test]
    fn a_default_that_is_given_is_no_other_flag() {
        let theirs = told("serve --kube --cluster-domain cluster.local");
        assert_eq!(note("s1", &theirs, &told("diff")), None);
    }
}
