//! The C library's allocator gives back what a burst took only if it is told to: when large pieces are freed, it takes more of the kind for usual,
//! and from then on keeps up to 64 MiB that nobody uses. A hundred megabytes of requests that did not end would stay for good.
//!
//! It reads its settings when the process starts, so that `serve` begins once more, as the same process, if it has none.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Settings of glibc (mallopt(3)), at the values that they begin with. To be set is what keeps them from growing.
const SETTINGS: [&str; 2] = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"];
const BYTES: &str = "131072";

/// Begins the process once more with the settings, unless somebody made some.
pub(crate) fn give_back() {
    if SETTINGS.iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = env::args_os();
    let mut again = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments);
    again.envs(SETTINGS.map(|name| (name, BYTES)));
    // It only returns if that is not possible; then memory is kept.
    drop(again.exec());
}
