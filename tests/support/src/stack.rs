//! A Seaway and a mesh Envoy of its own for somebody else's test, on loopback and without any
//! rights. Stands beside the way of a change, at both of its ends, as a [`World`](crate::World)
//! does.
//!
//! ```no_run
#![doc = include_str!("../../stack/example.rs")]
//! ```
//!
//! Which programs run: what a [`Builder`] is told, else the images `SEAWAY_IMAGE` and `ENVOY_IMAGE`, else the binaries `SEAWAY_BIN` and `ENVOY`,
//! else a `seaway` beside the running test and the Envoy of `make envoy`. `SEAWAY_KEEP=1` keeps manifests and logs.

use std::env;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use crate::program::{Container, Program};
use crate::seaway::{Source, run};
use crate::{
    Backend, Client, Envoy, Folder, Load, Namespace, Outcome, Seaway, envoy_binary, seaway_binary,
};

/// Stacks of this process so far: part of what each has for itself.
static STACKS: AtomicU32 = AtomicU32::new(0);

/// Where Envoys in images are, and Seaway in its own.
const ENVOY_IN_IMAGE: &str = "/usr/local/bin/envoy";
const SEAWAY_IN_IMAGE: &str = "/usr/local/bin/seaway";

/// Ports of a stack, on an address of its own.
const XDS: u16 = 18000;
const ADMIN: u16 = 18001;
const TAKEN: u16 = 18002;
const MESH: u16 = 15001;
const ENVOY_ADMIN: u16 = 9901;

/// What a stack is made of.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    folders: Vec<PathBuf>,
    files: Vec<(String, String)>,
    seaway: Option<Program>,
    envoy: Option<Program>,
    arguments: Vec<String>,
}

impl Builder {
    /// Begins with a copy of the files in this folder (repeatable). Whatever the test edits, the
    /// folder stays as it is.
    #[must_use]
    pub fn manifests(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Begins with this file (repeatable).
    #[must_use]
    pub fn manifest(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Runs this `seaway`.
    #[must_use]
    pub fn seaway_binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.seaway = Some(Program::Binary(path.into()));
        self
    }

    /// Runs Seaway in a container of this image.
    #[must_use]
    pub fn seaway_image(mut self, image: &str) -> Self {
        self.seaway = Some(Program::Image(image.to_owned(), SEAWAY_IN_IMAGE));
        self
    }

    /// Runs this Envoy.
    #[must_use]
    pub fn envoy_binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.envoy = Some(Program::Binary(path.into()));
        self
    }

    /// Runs Envoy in a container of this image.
    #[must_use]
    pub fn envoy_image(mut self, image: &str) -> Self {
        self.envoy = Some(Program::Image(image.to_owned(), ENVOY_IN_IMAGE));
        self
    }

    /// Further arguments of `seaway serve`.
    #[must_use]
    pub fn seaway_arguments(mut self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Starts Seaway and Envoy, and waits until Envoy has its first configuration.
    ///
    /// # Errors
    ///
    /// A program or a folder is not there, or what was started ended; the error has its last words.
    pub fn start(self) -> Result<Stack> {
        let seaway = program(&self.seaway, "SEAWAY_IMAGE", SEAWAY_IN_IMAGE, seaway_binary);
        let seaway = seaway.context("what to run as Seaway")?;
        let envoy = program(&self.envoy, "ENVOY_IMAGE", ENVOY_IN_IMAGE, envoy_binary);
        let envoy = envoy.context("what to run as Envoy")?;
        let folder = tempfile::Builder::new().prefix("seaway-stack-").tempdir()?;
        let manifests = Folder::new(folder.path().join("manifests"))?;
        for from in &self.folders {
            manifests.copy_from(from)?;
        }
        for (name, text) in &self.files {
            manifests.save(name, text)?;
        }
        let place = Place::find()?;
        let network = Namespace::here()?;
        let mut stack = Stack {
            envoy: None,
            seaway: self.start_seaway(&seaway, &network, &place, folder.path())?,
            containers: Vec::new(),
            network,
            manifests,
            place,
            folder,
        };
        stack
            .containers
            .extend(seaway.container(&stack.place.name("seaway")));
        stack
            .containers
            .extend(envoy.container(&stack.place.name("envoy")));
        stack.seaway.wait_ready(&stack.network)?;
        stack.start_envoy(&seaway, &envoy)?;
        Ok(stack)
    }

    fn start_seaway(
        &self,
        program: &Program,
        network: &Namespace,
        place: &Place,
        folder: &Path,
    ) -> Result<Seaway> {
        let mesh = place.at(MESH).to_string();
        let mut arguments = vec!["--mesh-listen", &mesh];
        arguments.extend(self.arguments.iter().map(String::as_str));
        Seaway::launch(
            network,
            program.command(&place.name("seaway"), folder),
            Source::Files(&folder.join("manifests")),
            (place.at(XDS), place.at(ADMIN)),
            &arguments,
            &folder.join("seaway.log"),
        )
    }
}

/// What a test asked for, else what the environment names, else the binary that `default` finds.
fn program(
    asked: &Option<Program>,
    image: &str,
    inside: &'static str,
    default: fn() -> Result<PathBuf>,
) -> Result<Program> {
    let program = match (asked, env::var(image)) {
        (Some(program), _) => program.clone(),
        (None, Ok(name)) if !name.is_empty() => Program::Image(name, inside),
        (None, _) => Program::Binary(default()?),
    };
    program.check()?;
    Ok(program)
}

/// A loopback address of a stack's own, so that its ports are nobody else's.
#[derive(Debug)]
struct Place {
    ip: Ipv4Addr,
    number: u32,
    /// Shows other stacks that the address is taken.
    _taken: TcpListener,
}

impl Place {
    fn find() -> Result<Self> {
        loop {
            let number = STACKS.fetch_add(1, Ordering::Relaxed);
            // Anything in 127.64.0.0/10 to 127.128.0.0/9 that differs between processes and between
            // stacks of one.
            let seed = process::id().wrapping_mul(251).wrapping_add(number);
            let [_, _, b, c] = seed.to_be_bytes();
            let ip = Ipv4Addr::new(127, 64 + (seed >> 16) as u8 % 128, b ^ c, c);
            match TcpListener::bind((ip, TAKEN)) {
                Ok(taken) => {
                    return Ok(Self {
                        ip,
                        number,
                        _taken: taken,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error).context("no loopback address for a stack"),
            }
        }
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.ip, port))
    }

    /// What a container of this stack is called.
    fn name(&self, what: &str) -> String {
        format!("seaway-stack-{}-{}-{what}", process::id(), self.number)
    }
}

/// A running Seaway with a folder of manifests of its own, and an Envoy that has what it says. Both
/// end when this is dropped; when the test is panicking by then, manifests and logs are kept, and
/// standard error says where.
#[derive(Debug)]
pub struct Stack {
    // From top to bottom in the order in which they end.
    envoy: Option<Envoy>,
    seaway: Seaway,
    containers: Vec<Container>,
    network: Namespace,
    manifests: Folder,
    place: Place,
    folder: TempDir,
}

impl Stack {
    /// A stack to be started.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn start_envoy(&mut self, seaway: &Program, envoy: &Program) -> Result<()> {
        let folder = self.folder.path();
        let xds = self.place.at(XDS).to_string();
        let mut bootstrap = seaway.command(&self.place.name("bootstrap"), folder);
        bootstrap.args(["bootstrap", "--node-id", "stack", "--role", "mesh"]);
        let config = run(bootstrap.args(["--xds", &xds]))?;
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, config)?;
        let admin = self.place.at(ENVOY_ADMIN);
        // `seaway bootstrap` knows of no other address than 127.0.0.1.
        let overlay = format!(
            "admin: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}",
            admin.ip(),
            admin.port()
        );
        let mut command = envoy.command(&self.place.name("envoy"), folder);
        command.arg("-c").arg(&file);
        command.args(["--config-yaml", &overlay, "--disable-hot-restart"]);
        command.args(["--concurrency", "2", "-l", "warn"]);
        let log = folder.join("envoy.log");
        let envoy = Envoy::launch(Namespace::here()?, "stack", &command, admin, &log)?;
        envoy.wait_live(Duration::from_secs(20))?;
        self.envoy = Some(envoy);
        Ok(())
    }

    /// Where the Envoy takes HTTP requests, which it routes by their host name:
    /// `http://127.64.0.1:15001`.
    pub fn mesh_url(&self) -> String {
        format!("http://{}", self.mesh_address())
    }

    /// [`Stack::mesh_url`] as an address.
    pub fn mesh_address(&self) -> SocketAddr {
        self.place.at(MESH)
    }

    /// One request `GET /` to a host name, such as `web.default`.
    ///
    /// # Errors
    ///
    /// None of the request's own: those are [`Outcome`]s.
    pub fn get(&self, host: &str) -> Result<Outcome> {
        Client::new(self.mesh_address())
            .host(host)
            .get(&self.network)
    }

    /// So many requests a second to a host name, each over a new connection, until the load is
    /// stopped.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn load(&self, host: &str, rate: u32) -> Result<Load> {
        let client = Client::new(self.mesh_address()).host(host);
        Load::start(&self.network, client, rate)
    }

    /// A backend that answers every request with its name, until it is dropped.
    ///
    /// # Errors
    ///
    /// It cannot listen there.
    pub fn backend(&self, name: &str, address: &str) -> Result<Backend> {
        let parsed = address.parse();
        let address = parsed.with_context(|| format!("{address} is no address and port"))?;
        Backend::start(&self.network, name, address)
    }

    /// The folder that Seaway watches: a copy, for the test to change.
    pub fn manifests(&self) -> &Folder {
        &self.manifests
    }

    /// Saves a file of the folder with another text. Returns the moment of that; the Envoy has it
    /// milliseconds later, which [`eventually`](crate::eventually) waits for.
    ///
    /// # Errors
    ///
    /// There is no such file.
    pub fn edit(&self, file: &str, edited: impl FnOnce(&str) -> String) -> Result<Instant> {
        let text = edited(&self.manifests.read(file)?);
        self.manifests.save(file, &text)
    }

    /// The Envoy, for its configuration, its counters and its log.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn envoy(&self) -> Result<&Envoy> {
        let envoy = self.envoy.as_ref().ok_or_else(|| anyhow!("no Envoy"))?;
        envoy.check_running()?;
        Ok(envoy)
    }

    /// One of Seaway's metrics, summed over the label sets that contain `label`.
    ///
    /// # Errors
    ///
    /// Seaway does not answer.
    pub fn metric(&self, name: &str, label: &str) -> Result<f64> {
        self.seaway.metric(&self.network, name, label)
    }

    /// What Seaway has logged: problems of the manifests, too.
    pub fn log(&self) -> String {
        self.seaway.log()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let keep = env::var_os("SEAWAY_KEEP").is_some_and(|value| !value.is_empty());
        if keep || thread::panicking() {
            self.folder.disable_cleanup(true);
            let _ = writeln!(
                io::stderr(),
                "manifests and logs are kept in {}",
                self.folder.path().display()
            );
        }
    }
}
