//! `deploy/docker/compose.yaml`, used as its README says, and each of its containers restarted and
//! killed under load.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{Client, Folder, Load, Namespace, Outcome, Record, repository, within};
use tempfile::TempDir;

use crate::engine::{Compose, SEAWAY, inspect, local, readable};

const FILE: &str = "deploy/docker/compose.yaml";
/// Beside the default, so that a stack that somebody runs is left alone. Its networks would be the
/// same, though.
const PORT: u16 = 15801;
/// Requests a second.
const RATE: u32 = 100;
/// The addresses of the backends in the manifests.
const WEB_1: &str = "172.30.83.11";
const WEB_2: &str = "172.30.83.12";

/// The stack with manifests that a test may edit.
struct Try<'a> {
    compose: &'a Compose,
    manifests: Folder,
    network: Namespace,
}

impl Try<'_> {
    fn run(test: impl FnOnce(&Try<'_>) -> Result<()>) -> Result<()> {
        let folder = TempDir::new()?;
        let manifests = Folder::new(folder.path().join("manifests"))?;
        manifests.copy_from(&repository().join("deploy/docker/manifests"))?;
        for path in [folder.path(), manifests.path()] {
            readable(path)?;
        }
        let started = Instant::now();
        let (port, shown) = (PORT.to_string(), manifests.path().display().to_string());
        let environment = [
            ("SEAWAY_IMAGE", SEAWAY),
            ("SEAWAY_HTTP_PORT", &port),
            ("SEAWAY_MANIFESTS", &shown),
        ];
        Compose::up(FILE, &environment, |compose| {
            let network = Namespace::here()?;
            let this = Try {
                compose,
                manifests,
                network,
            };
            this.await_first(started)?;
            test(&this)
        })
    }

    fn await_first(&self, started: Instant) -> Result<()> {
        let left = Duration::from_secs(60).saturating_sub(started.elapsed());
        within(left, "the first answer", || self.answered("web.default"))?;
        eprintln!("first answer {:.1?} after `up`", started.elapsed());
        self.compose.await_healthy("envoy")
    }

    fn get(&self, host: &str) -> Result<Outcome> {
        Client::new(local(PORT)).host(host).get(&self.network)
    }

    /// Who answered.
    fn answered(&self, host: &str) -> Result<String> {
        let outcome = self.get(host)?;
        let backend = outcome.backend().with_context(|| outcome.to_string())?;
        Ok(backend.trim().to_owned())
    }

    /// Who answers, of many requests.
    fn met(&self) -> Result<BTreeSet<String>> {
        (0..20).map(|_| self.answered("web.default")).collect()
    }

    fn await_met(&self, wanted: &[&str]) -> Result<Instant> {
        let wanted: BTreeSet<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let what = format!("{wanted:?} to answer");
        within(Duration::from_secs(20), what, || {
            let met = self.met()?;
            ensure!(met == wanted, "{met:?}");
            Ok(Instant::now())
        })
    }

    /// Takes `web-1` out of the manifests and puts it back: each edit arrives.
    fn edit_and_see(&self) -> Result<()> {
        self.manifests.replace("web.yaml", &line(WEB_1), "")?;
        self.await_met(&["web-2"])?;
        self.manifests.replace(
            "web.yaml",
            "endpoints:\n",
            &format!("endpoints:\n{}", line(WEB_1)),
        )?;
        self.await_met(&["web-1", "web-2"]).map(drop)
    }

    /// Load on `host` while `fault` happens; all records, and when the fault was over.
    fn under_load(&self, host: &str, fault: impl FnOnce() -> Result<()>) -> Result<Faulted> {
        let client = Client::new(local(PORT)).host(host);
        let load = Load::start(&self.network, client, RATE)?;
        // So that there is something to disturb.
        std::thread::sleep(Duration::from_millis(500));
        let begin = Instant::now();
        fault()?;
        let end = Instant::now();
        std::thread::sleep(Duration::from_millis(500));
        let records = load.stop()?;
        Ok(Faulted {
            begin,
            end,
            records,
        })
    }

    /// What the Envoy counts for an endpoint.
    fn cluster_counter(&self, address: &str, counter: &str) -> Result<u64> {
        let ask = "exec 3<>/dev/tcp/127.0.0.1/9901; \
            printf 'GET /clusters HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n' >&3; cat <&3";
        let text = self.compose.exec("envoy", &["bash", "-c", ask])?;
        let begin = format!("default/web/80::{address}:8080::{counter}::");
        let value = text.lines().find_map(|line| line.strip_prefix(&begin));
        let value = value.with_context(|| format!("no {begin} in\n{text}"))?;
        Ok(value.trim().parse()?)
    }
}

/// What a load met.
struct Faulted {
    begin: Instant,
    end: Instant,
    records: Vec<Record>,
}

impl Faulted {
    fn ensure_none_failed(&self, what: &str) -> Result<()> {
        eprintln!("{what}: {} requests, none may fail", self.records.len());
        let failures = Record::failures(&self.records);
        ensure!(failures.is_none(), "{what}: {failures:?}");
        Ok(())
    }

    fn failed(&self) -> impl Iterator<Item = &Record> {
        let records = self.records.iter();
        records.filter(|record| record.outcome.backend().is_none())
    }
}

/// Whether Envoy answered that it could not reach the endpoint, or lost it.
fn at_connecting(record: &Record) -> bool {
    matches!(&record.outcome, Outcome::Answered(answer)
        if answer.status == 503 && answer.body.contains("upstream connect error"))
}

/// How an endpoint looks in the manifest.
fn line(address: &str) -> String {
    format!("  - addresses: [{address}]\n")
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn the_first_request_is_answered_within_a_minute_and_edits_are_followed() -> Result<()> {
    Try::run(|this| {
        this.await_met(&["web-1", "web-2"])?;
        this.edit_and_see()?;
        let by_name = this.answered("by-name.default")?;
        ensure!(by_name == "web-2", "{by_name}");
        // The commands of the README.
        let ready = this
            .compose
            .exec("seaway", &["/usr/local/bin/seaway", "ready"])?;
        ensure!(ready == "ok\n", "{ready}");
        let printed = this.compose.run(&[
            "run",
            "--rm",
            "seaway",
            "translate",
            "--files",
            "/manifests",
            "--role",
            "mesh",
        ])?;
        ensure!(printed.contains("default/web/80"), "{printed}");
        nobody_has_rights(this)
    })
}

/// Neither the user nor any capability is left to whom gets hold of one of them, and there is
/// nothing to write to.
fn nobody_has_rights(this: &Try<'_>) -> Result<()> {
    for service in ["seaway", "envoy", "web-1", "web-2"] {
        let id = this.compose.container(service)?;
        ensure!(inspect(&id, "{{.HostConfig.ReadonlyRootfs}}")? == "true");
        let process = inspect(&id, "{{.State.Pid}}")?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        for wanted in [
            "Uid:\t65532\t65532\t65532\t65532",
            "CapEff:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "NoNewPrivs:\t1",
        ] {
            ensure!(
                status.contains(wanted),
                "{service}: no {wanted} in\n{status}"
            );
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn no_request_fails_while_seaway_is_restarted_or_killed() -> Result<()> {
    Try::run(|this| {
        let restart = || this.compose.restart("seaway");
        let faulted = this.under_load("web.default", restart)?;
        faulted.ensure_none_failed("Seaway restarted")?;
        this.edit_and_see()?;
        let kill = || {
            this.compose.kill("seaway")?;
            std::thread::sleep(Duration::from_secs(2));
            this.compose.start("seaway")
        };
        let faulted = this.under_load("web.default", kill)?;
        faulted.ensure_none_failed("Seaway killed")?;
        this.edit_and_see()
    })
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn a_backend_that_goes_fails_its_own_requests_alone() -> Result<()> {
    Try::run(|this| {
        this.await_met(&["web-1", "web-2"])?;
        for kill in [false, true] {
            let before = this.cluster_counter(WEB_1, "rq_error")?;
            let fault = || {
                if kill {
                    this.compose.kill("web-1")?;
                    std::thread::sleep(Duration::from_secs(2));
                    return this.compose.start("web-1");
                }
                this.compose.restart("web-1")
            };
            let faulted = this.under_load("web.default", fault)?;
            let own = this.cluster_counter(WEB_1, "rq_error")? - before;
            let (failed, all) = (faulted.failed().count(), faulted.records.len());
            eprintln!("web-1 gone (kill: {kill}): {failed} of {all} requests failed");
            // Envoy may still be connecting when the client gives up.
            let by_envoy = faulted.failed().filter(|record| at_connecting(record));
            let by_envoy = by_envoy.count();
            let told = Record::failures(&faulted.records);
            let timed_out = faulted
                .failed()
                .filter(|record| record.outcome == Outcome::TimedOut);
            ensure!(by_envoy + timed_out.count() == failed, "{told:?}");
            let own = usize::try_from(own)?;
            ensure!(by_envoy <= own && own <= failed, "{own}: {told:?}");
            let others = this.cluster_counter(WEB_2, "rq_total")?;
            ensure!(others == this.cluster_counter(WEB_2, "rq_success")?);
            this.await_met(&["web-1", "web-2"])?;
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn an_envoy_that_goes_fails_requests_only_until_it_is_back() -> Result<()> {
    Try::run(|this| {
        for kill in [false, true] {
            let fault = || {
                if kill {
                    this.compose.kill("envoy")?;
                    return this.compose.start("envoy");
                }
                this.compose.restart("envoy")
            };
            let faulted = this.under_load("web.default", fault)?;
            let outside: Vec<_> = faulted
                .failed()
                .filter(|record| record.end < faulted.begin || record.start > faulted.end)
                .collect();
            let failed = faulted.failed().count();
            let away = faulted.end - faulted.begin;
            eprintln!(
                "Envoy gone (kill: {kill}) for {away:.1?}: {failed} of {} requests failed",
                faulted.records.len()
            );
            ensure!(outside.is_empty(), "{outside:?}");
            this.edit_and_see()?;
        }
        Ok(())
    })
}
