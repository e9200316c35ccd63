//! A real PKCS#11 token: SoftHSM2, in a directory of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// Where distributions put the module.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
const NETWORK_MODULES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
];
/// By this p11-kit's module finds its server.
const SERVER: &str = "P11_KIT_SERVER_ADDRESS";
const SERVES_WITHIN: Duration = Duration::from_secs(10);
const PIN: &str = "426711";
/// By this SoftHSM finds its settings. It is read from the process's own environment.
const CONF: &str = "SOFTHSM2_CONF";

/// A token labelled `certfleet`, with its PIN in a file.
pub struct SoftHsm {
    directory: PathBuf,
    _temporary: Option<TempDir>,
}

impl SoftHsm {
    /// The label of each token here.
    pub const TOKEN: &'static str = "certfleet";

    /// A new, empty token.
    pub fn new() -> Self {
        let temporary = tempfile::Builder::new()
            .prefix("certfleet-softhsm-")
            .tempdir()
            .unwrap();
        let directory = temporary.path().to_owned();
        let tokens = directory.join("tokens");
        fs::create_dir(&tokens).unwrap();
        let conf = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(directory.join("softhsm2.conf"), conf).unwrap();
        let hsm = Self {
            directory,
            _temporary: Some(temporary),
        };
        hsm.set_pin_file(PIN);
        run(hsm
            .command("softhsm2-util")
            .args(["--init-token", "--free", "--label", Self::TOKEN])
            .args(["--pin", PIN, "--so-pin", "835510"]));
        hsm
    }

    /// The token of the process that has started this one by [`Self::again_with_it`].
    pub fn inherited() -> Option<Self> {
        let conf = PathBuf::from(std::env::var_os(CONF)?);
        Some(Self {
            directory: conf.parent()?.to_owned(),
            _temporary: None,
        })
    }

    /// Runs the test of this name again, in a process that has this token: a module reads its settings once, and from the
    /// environment, which a process cannot change safely once it has threads.
    pub fn again_with_it(&self, test: &str) {
        let said = run(Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CONF, self.conf())
            .env(SERVER, format!("unix:path={}", self.socket().display())));
        assert!(said.contains("1 passed"), "there is no test {test}: {said}");
    }

    /// The variable by which processes find the token.
    pub fn environment(&self) -> (String, String) {
        (CONF.to_owned(), self.conf().display().to_string())
    }

    fn conf(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    /// The module.
    pub fn module() -> PathBuf {
        let found = MODULES.iter().map(Path::new).find(|path| path.exists());
        found
            .expect("SoftHSM2 is not installed: run scripts/get-test-tools")
            .to_owned()
    }

    /// Serves the token to [`Self::network_module`], by p11-kit.
    pub fn serve(&self) -> TokenServer {
        drop(fs::remove_file(self.socket()));
        let child = self
            .command("p11-kit")
            .args(["server", "--foreground", "--provider"])
            .arg(Self::module())
            .arg("--name")
            .arg(self.socket())
            .arg("pkcs11:")
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("p11-kit: {error}: run scripts/get-test-tools"));
        let until = Instant::now() + SERVES_WITHIN;
        while !self.socket().exists() {
            assert!(Instant::now() < until, "p11-kit does not serve");
            sleep(Duration::from_millis(10));
        }
        TokenServer(child)
    }

    /// The module by which a token is reached over a socket. It finds its server by the environment.
    pub fn network_module() -> PathBuf {
        let found = NETWORK_MODULES.iter().map(Path::new);
        let found = found.clone().find(|path| path.exists());
        found
            .expect("p11-kit is not installed: run scripts/get-test-tools")
            .to_owned()
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("p11-kit.sock")
    }

    /// The file with the PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.directory.join("pin")
    }

    /// Puts another PIN into the file; the token keeps its own.
    pub fn set_pin_file(&self, pin: &str) {
        fs::write(self.pin_file(), pin).unwrap();
        fs::set_permissions(self.pin_file(), Permissions::from_mode(0o600)).unwrap();
    }

    /// Puts the right PIN back.
    pub fn restore_pin_file(&self) {
        self.set_pin_file(PIN);
    }

    /// The token's directory is away, as if it were unplugged; or there again.
    pub fn plug(&self, there: bool) {
        let (tokens, away) = (self.directory.join("tokens"), self.directory.join("away"));
        if there {
            fs::rename(away, tokens).unwrap();
        } else {
            fs::rename(tokens, away).unwrap();
        }
    }

    /// Makes an AES-256 key that does not leave the token.
    pub fn make_aes(&self, label: &str) {
        self.tool(&[
            "--keygen",
            "--key-type",
            "AES:32",
            "--sensitive",
            "--label",
            label,
        ]);
    }

    /// Makes a pair; `kind` as pkcs11-tool has it: `EC:prime256v1`, `EC:secp384r1`, `rsa:2048`.
    pub fn make_pair(&self, label: &str, kind: &str) {
        let make = [
            "--keypairgen",
            "--key-type",
            kind,
            "--usage-sign",
            "--label",
            label,
        ];
        self.tool(&make);
    }

    /// Puts a pair there, from PEM (PKCS#8), with an id in hexadecimal digits.
    pub fn import_pair(&self, label: &str, id: &str, pem: &str) {
        run(self
            .command("softhsm2-util")
            .args(["--import", pem, "--token", Self::TOKEN, "--pin", PIN])
            .args(["--label", label, "--id", id]));
    }

    /// Removes both halves of a pair.
    pub fn delete_pair(&self, label: &str) {
        for half in ["privkey", "pubkey"] {
            self.tool(&["--delete-object", "--type", half, "--label", label]);
        }
    }

    /// Removes a secret key.
    pub fn delete_aes(&self, label: &str) {
        self.tool(&["--delete-object", "--type", "secrkey", "--label", label]);
    }

    /// How the token names a key: its URI.
    pub fn uri(label: &str) -> String {
        format!("pkcs11:token={};object={label}", Self::TOKEN)
    }

    fn tool(&self, arguments: &[&str]) {
        run(self
            .command("pkcs11-tool")
            .arg("--module")
            .arg(Self::module())
            .args(["--login", "--pin", PIN, "--token-label", Self::TOKEN])
            .args(arguments));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env(CONF, self.conf());
        command
    }
}

/// What serves a token over a socket. Dropped, it is killed.
pub struct TokenServer(Child);

impl Drop for TokenServer {
    fn drop(&mut self) {
        // It has a process for each of its clients.
        let group = format!("-{}", self.0.id());
        run(Command::new("kill").args(["-KILL", "--", &group]));
        self.0.wait().unwrap();
    }
}

impl Default for SoftHsm {
    fn default() -> Self {
        Self::new()
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}: run scripts/get-test-tools");
    });
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
