//! The commands that ask replicas over TLS: they prove who asks, and say what is wrong by the flag,
//! the file and the replica.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use seaway_testing::certs::{Ca, Leaf};
use seaway_testing::{World, ended_with, eventually, has};

use crate::{HOUR, Secured};

/// A port that is open to other machines, and who may read there.
const FLAGS: [&str; 6] = [
    "--admin-listen",
    "0.0.0.0:18001",
    "--admin-allow",
    "serviceaccount:seaway/operator",
    "--admin-allow",
    "dns:operator.seaway",
];

/// Somebody with files, who asks from another address than loopback.
struct Person<'a> {
    world: &'a World,
    /// `https://172.18.0.1:18001`.
    at: String,
    folder: PathBuf,
}

impl<'a> Person<'a> {
    fn of(world: &'a World) -> Result<Person<'a>> {
        let folder = world.folder().join("person");
        fs::create_dir_all(&folder)?;
        let address = world.replica(0)?.address().ip();
        Ok(Person {
            world,
            at: format!("https://{address}:18001"),
            folder,
        })
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// The flags that show a certificate.
    fn shows(&self, name: &str, leaf: &Leaf) -> Result<[String; 2]> {
        let cert = self.file(&format!("{name}.crt"), &leaf.pem())?;
        let key = self.file(&format!("{name}.key"), &leaf.key_pem())?;
        Ok([format!("--admin-cert={cert}"), format!("--admin-key={key}")])
    }

    /// Runs a command on the replica; it has to end with this code, and to say all of the words.
    fn says(&self, code: i32, line: &str, more: &[&str], words: &[&str]) -> Result<()> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
        command.args(line.split(' ')).args(more).env_clear();
        command.env("SEAWAY_ADMIN", &self.at);
        let output = self.world.fabric().run(move || command.output())??;
        let (said, told) = ended_with(code, output, line)?;
        has(&(said + &told), words).with_context(|| line.to_owned())
    }
}

/// The name by which the replica's certificate is known, for who asks by an address.
const NAMED: &str = "--admin-server-name=localhost";

#[test]
fn commands_ask_over_tls_and_nobody_without_a_proof_is_answered() -> Result<()> {
    Secured::run(&FLAGS, |world, secured| {
        let person = Person::of(world)?;
        let ca = person.file("ca.crt", &secured.ca.pem())?;
        let ca = format!("--admin-ca={ca}");
        let [cert, key] = person.shows("operator", &secured.certificate("operator.seaway")?)?;
        let token = person.file("token", &format!("{}\n", secured.token("operator", "n1")))?;
        let token = format!("--admin-token-file={token}");
        for proof in [&[cert.as_str(), &key][..], &[&token]] {
            let flags = [&[ca.as_str(), NAMED], proof].concat();
            person.says(0, "status", &flags, &["All is well.", " live "])?;
            person.says(0, "get services", &flags, &["web", "10.96.0.10"])?;
            person.says(0, "explain default/web", &flags, &["10.244.1.10"])?;
            person.says(0, "check", &flags, &["1 replica ready", "6 watches live"])?;
        }
        let nobody = [ca.as_str(), NAMED];
        let words = [
            &person.at,
            "nothing proves who you are",
            "nothing was shown: --admin-cert",
        ];
        person.says(2, "status", &nobody, &words)?;
        person.says(2, "get proxies", &nobody, &words)?;
        let [cert, key] = person.shows("proxy", &secured.certificate("n1.node.seaway")?)?;
        let flags = [ca.as_str(), NAMED, &cert, &key];
        let words = [
            &person.at,
            "no --admin-allow says so",
            &format!("shown: {}", cert.replace('=', " ")),
        ];
        person.says(2, "status", &flags, &words)
    })
}

#[test]
fn what_is_wrong_is_said_by_flag_file_and_replica() -> Result<()> {
    Secured::run(&FLAGS, |world, secured| {
        let person = Person::of(world)?;
        let at = person.at.clone();
        let ca = format!("--admin-ca={}", person.file("ca.crt", &secured.ca.pem())?);
        let other = person.file("other.crt", &Ca::new("others")?.pem())?;
        let other = format!("--admin-ca={other}");
        let bad = format!("--admin-ca={}", person.file("bad.crt", "no certificate")?);
        let spaced = |flag: &str| flag.replacen('=', " ", 1);
        let says = |flags: &[&str], words: &[&str]| person.says(2, "status", flags, words);
        says(&[], &[&at, "needs --admin-ca FILE"])?;
        says(&[&bad], &[&spaced(&bad), "no PEM certificate"])?;
        says(&["--admin-ca=/none"], &["--admin-ca /none", "No such file"])?;
        says(
            &[&ca],
            &[&at, "172.18.0.1", "--admin-server-name names another"],
        )?;
        let words = format!("of no authority in {}", spaced(&other));
        says(&[&other, NAMED], &[&at, &words])?;
        let [cert, _] = person.shows("one", &secured.certificate("operator.seaway")?)?;
        let [_, key] = person.shows("two", &secured.certificate("operator.seaway")?)?;
        let words = [&spaced(&cert), &spaced(&key), "do not match"];
        says(&[&ca, NAMED, &cert, &key], &words)?;
        let empty = format!("--admin-token-file={}", person.file("empty", "\n")?);
        says(&[&ca, NAMED, &empty], &[&spaced(&empty), "no token"])?;
        let stranger =
            Ca::new("clients")?.client(&[seaway_testing::certs::San::dns("operator.seaway")])?;
        let [cert, key] = person.shows("stranger", &stranger)?;
        says(&[&ca, NAMED, &cert, &key], &[&at, &spaced(&cert)])?;

        let now = SystemTime::now();
        let ended = |leaf: Leaf| leaf.valid(now - 2 * HOUR, now - HOUR);
        let [cert, key] =
            person.shows("ended", &ended(secured.certificate("operator.seaway")?)?)?;
        says(
            &[&ca, NAMED, &cert, &key],
            &[&at, &spaced(&cert), "expired"],
        )?;
        let clients = secured.clients.pem();
        secured.mount(&ended(secured.ca.server(&["localhost"])?)?, &clients)?;
        eventually("the expired certificate to be used", || {
            says(&[&ca, NAMED], &[&at, "its certificate has expired"])
        })
    })
}

/// Seaway on a folder, with what it needs to know clients by certificates alone.
fn by_certificates_alone(
    more: &[&str],
    test: impl FnOnce(&World, Person<'_>, &str, &Ca) -> Result<()>,
) -> Result<()> {
    World::run(|world| {
        let (servers, clients) = (Ca::new("servers")?, Ca::new("clients")?);
        let leaf = servers.server(&["localhost"])?.write(world.folder())?;
        let client_ca = clients.write(world.folder())?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path");
        let (cert, key, client_ca) = (text(&leaf.cert)?, text(&leaf.key)?, text(&client_ca)?);
        let flags = [
            "--admin-listen",
            "0.0.0.0:18001",
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--client-ca",
            &client_ca,
            "--allow-proxy=node=dns:{node}.node.seaway",
        ];
        world.start_seaway(&[&flags[..], more].concat())?;
        let person = Person::of(world)?;
        let ca = format!("--admin-ca={}", person.file("servers.crt", &servers.pem())?);
        test(world, person, &ca, &clients)
    })
}

#[test]
fn a_replica_that_asks_for_a_certificate_in_the_handshake_says_which_flag_shows_one() -> Result<()>
{
    let allow = ["--admin-allow=dns:operator.seaway"];
    by_certificates_alone(&allow, |_, person, ca, clients| {
        let words = [&person.at, "--admin-cert"];
        person.says(2, "status", &[ca, NAMED], &words)?;
        let leaf = clients.client(&[seaway_testing::certs::San::dns("operator.seaway")])?;
        let [cert, key] = person.shows("operator", &leaf)?;
        person.says(0, "status", &[ca, NAMED, &cert, &key], &["All is well."])
    })
}

#[test]
fn a_port_that_speaks_no_tls_and_plain_text_beyond_loopback_say_what_to_do() -> Result<()> {
    by_certificates_alone(&[], |world, person, ca, _| {
        let words = [&person.at, "speaks no TLS", "--admin-allow"];
        person.says(2, "status", &[ca, NAMED], &words)?;
        let plain = person.at.replace("https://", "");
        let person = Person {
            at: plain.clone(),
            ..person
        };
        let words = [
            &format!("https://{plain}"),
            "--admin-ca",
            "--admin-allow",
            "--kube",
        ];
        person.says(2, "status", &[], &words)?;
        let local = Person {
            at: "localhost:18001".to_owned(),
            world,
            folder: person.folder,
        };
        local.says(0, "status", &[], &["All is well."])
    })
}
