//! What a test process leaves behind is cleared away, however it ends.
//!
//! Statics are not dropped, and a killed process drops nothing. So a small shell waits for the end of a pipe that the
//! test process holds, and that the kernel closes with it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use certfleet_supervisor::OWNER_VARIABLE;

/// Kills whatever was started for the directory, and removes it.
const SCRIPT: &str = r#"
read -r _
while processes=$(grep -lsxzF "$1=$2" /proc/[0-9]*/environ | cut -d/ -f3) && [ -n "$processes" ]; do
    kill -KILL $processes 2>/dev/null
    sleep 0.05
done
rm -rf "$2"
"#;

/// Clears the directory away when the returned child, which holds the pipe, or this process, is gone.
pub(crate) fn watch(directory: &Path) -> Child {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT, "janitor", OWNER_VARIABLE])
        .arg(directory)
        .stdin(Stdio::piped())
        // Whoever waits for this test's output must not wait for the janitor.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the test.
        .process_group(0)
        .spawn()
        .expect("/bin/sh does not start")
}
