//! Files that are there whole or not at all.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use certfleet_agent_protocol::Item;
use certfleet_domain::FileContent;
use nix::unistd::{Gid, Group, Uid, User, fchown};
use tempfile::Builder;
use zeroize::Zeroizing;

/// Whose a file is.
type Owner = (Option<Uid>, Option<Gid>);

/// Writes the files of an item.
pub fn write(item: &Item) -> anyhow::Result<()> {
    for file in &item.files {
        let content = content(item, file.content);
        let owner = file.owner.as_deref().map(owner).transpose();
        let owner = owner.with_context(|| file.path.clone())?;
        put(
            Path::new(&file.path),
            content.as_bytes(),
            file.mode,
            owner.unwrap_or_default(),
        )?;
    }
    Ok(())
}

fn content(item: &Item, content: FileContent) -> Zeroizing<String> {
    let key = item.key.expose();
    Zeroizing::new(match content {
        FileContent::Chain => item.chain.clone(),
        FileContent::Key => key.to_owned(),
        FileContent::ChainAndKey => {
            let between = if item.chain.ends_with('\n') { "" } else { "\n" };
            format!("{}{between}{key}", item.chain)
        }
    })
}

/// Puts a file there in the place of whatever is there under its name: written beside it, for its owner alone until it is whole.
pub fn put(path: &Path, content: &[u8], mode: u32, (user, group): Owner) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    let directory = path
        .parent()
        .ok_or_else(|| anyhow!("{} is no file", shown()))?;
    let file = Builder::new().prefix(".certfleet-").tempfile_in(directory);
    let mut file = file.with_context(shown)?;
    file.write_all(content).with_context(shown)?;
    if user.is_some() || group.is_some() {
        fchown(file.as_file(), user, group).with_context(shown)?;
    }
    let permissions = Permissions::from_mode(mode);
    file.as_file()
        .set_permissions(permissions)
        .with_context(shown)?;
    file.as_file().sync_all().with_context(shown)?;
    file.persist(path).with_context(shown)?;
    sync(directory)
}

/// Has a directory's entries outlive a loss of power.
pub fn sync(directory: &Path) -> anyhow::Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| directory.display().to_string())
}

fn owner(text: &str) -> anyhow::Result<Owner> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let found = User::from_name(user)?.ok_or_else(|| anyhow!("there is no user {user}"))?;
    let group = match group {
        None => None,
        Some(name) => {
            let found = Group::from_name(name)?;
            Some(
                found
                    .ok_or_else(|| anyhow!("there is no group {name}"))?
                    .gid,
            )
        }
    };
    Ok((Some(found.uid), group))
}
