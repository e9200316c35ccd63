//! The machine a figure was measured on: without it the figure says nothing.

use std::path::Path;

use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// What the servers' data lies on: file system and device.
    pub(crate) disk: String,
}

impl Machine {
    /// This machine, with data under `data`. What cannot be found is "unknown".
    pub(crate) fn this(data: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            disk: mount(&read("/proc/mounts"), data).unwrap_or_else(unknown),
        }
    }
}

/// The value of `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// File system and device of the innermost mount that `path` lies in.
fn mount(mounts: &str, path: &Path) -> Option<String> {
    let found = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        path.starts_with(point)
            .then(|| (point.len(), format!("{kind} on {device}")))
    });
    // Of mounts on the same point the last one is seen.
    found
        .max_by_key(|(length, _)| *length)
        .map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_is_found() {
        let mounts = "/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0\n\
                      tmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp xfs rw 0 0\n";
        let at = |path: &str| mount(mounts, Path::new(path)).unwrap();
        assert_eq!(at("/home/x"), "ext4 on /dev/vda");
        assert_eq!(at("/tmp/x"), "xfs on /dev/vdb");
        assert_eq!(at("/tmpx"), "ext4 on /dev/vda");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: A CPU @ 2: 3\n";
        assert_eq!(field(text, "model name").unwrap(), "A CPU @ 2: 3");
        assert_eq!(field(text, "name"), None);
    }
}
