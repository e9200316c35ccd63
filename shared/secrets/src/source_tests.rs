use std::os::unix::fs::PermissionsExt;

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn write(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
    file
}

fn id_in(content: &[u8]) -> String {
    let file = write(content, 0o600);
    read_kek_file(file.path()).map_or_else(|error| error.to_string(), |kek| kek.id().to_string())
}

#[test]
fn every_form_of_one_key_is_the_same_kek() {
    let key: Vec<u8> = (0..32).collect();
    let due = "7971bca8f4b7c412";
    assert_eq!(id_in(&key), due, "raw");
    let url_safe = [0xff; 32];
    let id_url_safe = id_in(&url_safe);
    assert_eq!(
        id_in(URL_SAFE_NO_PAD.encode(url_safe).as_bytes()),
        id_url_safe
    );
    for text in [
        hex::encode(&key),
        hex::encode_upper(&key) + "\n",
        STANDARD.encode(&key) + "\r\n",
        URL_SAFE_NO_PAD.encode(&key),
    ] {
        assert_eq!(id_in(text.as_bytes()), due, "{text:?} in a file");
        let value = read_kek_value(&text).ok().unwrap();
        assert_eq!(value.id().as_str(), due, "{text:?} as a value");
    }
}

#[test]
fn what_is_not_a_key_is_refused_and_not_repeated() {
    for bad in [
        "",
        "hunter2",
        &"0".repeat(63),
        &"g".repeat(64),
        &"A".repeat(42),
        &"A".repeat(4096),
    ] {
        assert!(
            id_in(bad.as_bytes()).contains("32 bytes are due"),
            "{bad:?}"
        );
        let error = read_kek_value(bad).err().unwrap().to_string();
        assert!(bad.is_empty() || !error.contains(bad), "{error}");
    }
    assert!(id_in(&[0xff; 33]).contains("32 bytes are due"));
}

#[test]
fn a_file_that_others_can_reach_is_refused_with_advice() {
    for mode in [0o640, 0o604, 0o660, 0o644, 0o610] {
        let file = write(&[7; 32], mode);
        let error = read_kek_file(file.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        assert!(error.contains("chmod 600"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    for mode in [0o600, 0o400] {
        assert!(read_kek_file(write(&[7; 32], mode).path()).is_ok());
    }
}

#[test]
fn a_missing_file_and_a_directory_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none");
    for path in [directory.path(), &missing] {
        let error = read_kek_file(path).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_file_is_for_its_owner_or_given_by_root_to_a_group() {
    for (mode, owner, me, due) in [
        (0o600, 5, 5, true),
        (0o400, 0, 0, true),
        (0o440, 0, 5, true),
        (0o640, 0, 5, true),
        // Root needs no group, somebody else's word is not root's, and more than reading is nobody's business.
        (0o440, 0, 0, false),
        (0o440, 5, 5, false),
        (0o460, 0, 5, false),
        (0o444, 0, 5, false),
        (0o441, 0, 5, false),
    ] {
        assert_eq!(is_private(mode, owner, me), due, "{mode:o} {owner} {me}");
    }
}

#[test]
fn a_generated_file_is_private_readable_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kek");
    let mut rng = StdRng::seed_from_u64(1);
    let id = generate_kek_file(&path, &mut rng).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(*read_kek_file(&path).ok().unwrap().id(), id);

    let before = fs::read(&path).unwrap();
    assert!(generate_kek_file(&path, &mut rng).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
}
