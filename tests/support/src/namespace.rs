//! Network namespaces: made and removed with `ip netns`, entered by threads, inherited by the
//! processes those threads start.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Worlds of this process so far: part of every namespace name, so that tests run in parallel.
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// The address of the fabric, where Seaway and DNS listen.
pub(crate) const FABRIC: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);
/// The fabric's IPv6 address.
const FABRIC_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x18, 0, 0, 0, 0, 0, 1);
/// Pod addresses: all of them live in the fabric.
const PODS: &str = "10.244.0.0/16";
/// Service addresses: local in every node's namespace, so that a socket bound with freebind
/// answers.
const SERVICES: &str = "10.96.0.0/16";
/// Service addresses of IPv6.
const SERVICES_V6: &str = "fd00:10:96::/112";

/// A command and where to send the child it became.
type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// One network namespace. Removed when dropped, if it was made here.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// `None`: the one that this process is in.
    file: Option<File>,
    /// Keeps a mount namespace for what runs in here, if it has one.
    mounts: Option<Child>,
    /// To the thread that starts processes: it lives as long as the namespace, because a child asks
    /// the kernel to be killed when the thread that started it ends.
    orders: Option<mpsc::Sender<Order>>,
    starter: Option<Inside<()>>,
}

/// A thread that runs inside a namespace.
#[derive(Debug)]
pub struct Inside<T>(JoinHandle<Option<T>>);

impl<T> Inside<T> {
    /// Waits for the thread's result.
    pub fn join(self) -> Result<T> {
        let result = self
            .0
            .join()
            .map_err(|_| anyhow!("a thread inside a namespace panicked"))?;
        result.context("the thread never entered its namespace")
    }
}

impl Namespace {
    fn create(name: String) -> Result<Self> {
        ip(&["netns", "add", &name], "")?;
        let path = PathBuf::from("/run/netns").join(&name);
        let opened = File::open(&path).with_context(|| format!("cannot open {}", path.display()));
        let file = opened.inspect_err(|_| drop(ip(&["netns", "del", &name], "")))?;
        let namespace = Self {
            name,
            file: Some(file),
            mounts: None,
            orders: None,
            starter: None,
        };
        namespace.configure("link set lo up\n")?;
        namespace.ready_to_start()
    }

    /// The network that this process is in, which nothing here changes: what needs loopback alone
    /// needs no rights.
    pub fn here() -> Result<Self> {
        let namespace = Self {
            name: String::new(),
            file: None,
            mounts: None,
            orders: None,
            starter: None,
        };
        namespace.ready_to_start()
    }

    fn ready_to_start(mut self) -> Result<Self> {
        let (orders, received) = mpsc::channel::<Order>();
        self.starter = Some(self.thread("starter", move || {
            for (mut command, reply) in received {
                let _ = reply.send(command.spawn());
            }
        })?);
        self.orders = Some(orders);
        Ok(self)
    }

    /// The name as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of `ip` commands in this namespace, such as `addr add 192.0.2.1/32 dev lo`.
    pub fn configure(&self, lines: &str) -> Result<()> {
        ensure!(
            self.file.is_some(),
            "this machine's own network stays as it is"
        );
        ip(&["-n", &self.name, "-batch", "-"], lines)
    }

    /// Lets packets through from one interface to another, as nodes and routers do.
    pub fn forward(&self) -> Result<()> {
        self.run(|| {
            // `/proc/sys/net` is that of the thread that opens it.
            fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            // As strict as distributions have it: what comes in where no answer would go out is
            // dropped.
            fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1")?;
            if has_ipv6() {
                fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
            }
            Ok(())
        })?
    }

    /// Gives what runs in here from now on a `/run/netns` of its own, as a machine has it: named
    /// network namespaces that programs make there are theirs alone.
    pub(crate) fn own_mounts(&mut self) -> Result<()> {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs tmpfs /run/netns && echo ready && exec sleep infinity";
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        command.stdout(Stdio::piped());
        let mut keeper = command.spawn().context("cannot run unshare")?;
        let mut told = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut told)?;
        }
        self.mounts = Some(keeper);
        ensure!(told == "ready\n", "cannot make a mount namespace");
        Ok(())
    }

    /// The command as it has to be run to see the mounts of this namespace.
    fn among_mounts(&self, command: Command) -> Command {
        let Some(keeper) = &self.mounts else {
            return command;
        };
        let mounts = format!("--mount=/proc/{}/ns/mnt", keeper.id());
        wrapped("nsenter", &[&mounts, "--"], &command)
    }

    /// Runs a program inside this namespace to its end and returns its standard output; fails when
    /// it does.
    pub fn command(&self, command: Command) -> Result<String> {
        let shown = format!("{command:?}");
        let mut command = self.among_mounts(command);
        let output = self.run(move || command.output())??;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{shown}: {}: {told}",
            output.status
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs `work` on a new thread inside this namespace.
    pub fn thread<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Inside<T>> {
        let file = self.file.as_ref().map(File::try_clone).transpose()?;
        let (entered, result) = mpsc::channel();
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let moved = file.map_or(Ok(()), |file| {
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                });
                let inside = moved.is_ok();
                let _ = entered.send(moved);
                // Outside the namespace nothing may run: it would touch the machine's own network.
                inside.then(work)
            })?;
        result
            .recv()
            .context("the thread ended before it entered its namespace")?
            .context("cannot enter the namespace")?;
        Ok(Inside(handle))
    }

    /// Runs `work` inside this namespace and waits for it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.thread("visitor", work)?.join()
    }

    /// Starts a process inside this namespace, both of its outputs going to `output`. It is killed
    /// when the namespace goes or this process dies.
    pub fn spawn(&self, command: &Command, output: File) -> Result<Child> {
        let guarded = wrapped("setpriv", &["--pdeathsig", "KILL", "--"], command);
        let mut guarded = self.among_mounts(guarded);
        guarded
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let (reply, answer) = mpsc::channel();
        let orders = self
            .orders
            .as_ref()
            .context("the namespace is being removed")?;
        orders
            .send((guarded, reply))
            .map_err(|_| anyhow!("the starter thread has ended"))?;
        answer
            .recv()
            .context("the starter thread has ended")?
            .context("cannot run setpriv (package util-linux)")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(starter) = self.starter.take() {
            let _ = starter.join();
        }
        if let Some(keeper) = &mut self.mounts {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
        if self.file.is_some() {
            let _ = ip(&["netns", "del", &self.name], "");
        }
    }
}

/// The command behind another program that runs it, with its variables.
pub(crate) fn wrapped(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(program);
    wrapped
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    wrapped
}

/// The namespaces of one world: the fabric and the nodes hanging on it.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    fabric: Arc<Namespace>,
}

impl Network {
    /// Makes the fabric. Fails where this process may not make namespaces.
    pub fn create() -> Result<Self> {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("seaway-{}-{number}", std::process::id());
        let fabric = Namespace::create(format!("{prefix}-fabric"))?;
        fabric.configure(&format!(
            "addr add {FABRIC}/32 dev lo\nroute add local {PODS} dev lo\n"
        ))?;
        let fabric = Arc::new(fabric);
        Ok(Self { prefix, fabric })
    }

    /// Where Seaway, DNS and all backends live.
    pub fn fabric(&self) -> &Namespace {
        &self.fabric
    }

    /// The same, for somebody who is not part of the world.
    pub(crate) fn shared_fabric(&self) -> Arc<Namespace> {
        self.fabric.clone()
    }

    /// Makes the namespace of a node. `number` (1-200) gives it the address `172.18.0.(10 +
    /// number)`.
    pub fn node(&self, name: &str, number: u8) -> Result<Namespace> {
        let node = self.bare_node(name, number)?;
        node.configure(&format!("route add local {SERVICES} dev lo\n"))?;
        if has_ipv6() {
            node.configure(&format!("route add local {SERVICES_V6} dev lo\n"))?;
        }
        Ok(node)
    }

    /// [`Network::node`] without the routes that make Service addresses local.
    pub(crate) fn bare_node(&self, name: &str, number: u8) -> Result<Namespace> {
        let link = format!("to-{name}");
        self.attach(name, &self.fabric, Host::FABRIC, &link, Host::node(number))
    }

    /// Makes a namespace with one interface `eth0` that has the address `own` and leads to
    /// `parent`, which is its gateway for everything and knows it by the interface `link`.
    pub(crate) fn attach(
        &self,
        name: &str,
        parent: &Namespace,
        gateway: Host,
        link: &str,
        own: Host,
    ) -> Result<Namespace> {
        let child = Namespace::create(format!("{}-{name}", self.prefix))?;
        parent.configure(&format!(
            "link add name {link} type veth peer name eth0 netns {}\n",
            child.name()
        ))?;
        parent.configure(&format!(
            "link set {link} up\nroute add {}/32 dev {link}\n",
            own.v4
        ))?;
        child.configure(&format!(
            "link set eth0 up\naddr add {}/32 dev eth0\nroute add {via}/32 dev eth0\nroute add default via {via}\n",
            own.v4,
            via = gateway.v4
        ))?;
        if has_ipv6() {
            // Neighbour discovery answers only for addresses of the link itself, so each link has
            // the gateway's.
            parent.configure(&format!(
                "addr add {}/128 dev {link} nodad\nroute add {}/128 dev {link}\n",
                gateway.v6, own.v6
            ))?;
            child.configure(&format!(
                "addr add {}/128 dev eth0 nodad\nroute add {via}/128 dev eth0\nroute add default via {via}\n",
                own.v6,
                via = gateway.v6
            ))?;
        }
        Ok(child)
    }
}

/// The addresses of a machine, one per family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address; used where the machine that runs the tests has IPv6.
    pub v6: Ipv6Addr,
}

impl Host {
    /// The fabric.
    pub(crate) const FABRIC: Self = Self {
        v4: FABRIC,
        v6: FABRIC_V6,
    };

    /// The node with this number.
    pub(crate) fn node(number: u8) -> Self {
        Self {
            v4: node_address(number),
            v6: Ipv6Addr::new(0xfd00, 0x18, 0, 0, 0, 0, 0, 0x10 + u16::from(number)),
        }
    }
}

/// Whether this machine has IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// The address of the node with this number.
pub(crate) fn node_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 18, 0, 10_u8.saturating_add(number))
}

/// Runs `ip` and turns a failure into its own words.
fn ip(args: &[&str], input: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .context("cannot run ip (package iproute2)")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
