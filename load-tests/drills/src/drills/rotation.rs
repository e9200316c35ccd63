//! The KEK changes while certificates are issued, and workers die while they seal anew: from one file to another, into a
//! PKCS#11 token, and back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use certfleet_crash_points::{CrashPoint, Strike};
use certfleet_domain::SystemRng;
use certfleet_secrets::{
    KekId, Keyring, Place, Purpose, Sealed, Secret, generate_kek_file, read_kek_file,
};
use certfleet_system_tests::Plan;
use certfleet_testkit::SoftHsm;
use futures_util::TryStreamExt;
use mongodb::{Client, Collection};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::checks::all_is_right;
use crate::drill::Setting;
use crate::figures::Figures;
use crate::ground::{Ground, PAUSE};
use crate::load::{Clients, Load};
use crate::points::Points;

const CLIENTS: usize = 4;
const WORKERS: u32 = 4;
const SECRETS: &str = "secrets";
const SEALED: &str = "sealed";
/// The label of the KEK in the token, and its place among the KEKs.
const IN_TOKEN: &str = "kek-1";
const TOKEN: usize = 2;
/// A name that no secret of a service has.
const FILLER: &str = "drill/";
const POINTS: [CrashPoint; 2] = [CrashPoint::SecretsResealed, CrashPoint::ResealedStored];
/// How long it may take until a worker seals anew that was asked to.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(setting: Setting) -> Result<Figures> {
    let home = tempfile::tempdir()?;
    let next = home.path().join("next");
    generate_kek_file(&next, &mut SystemRng)?;
    let hsm = SoftHsm::new();
    hsm.make_aes(IN_TOKEN);
    let others = format!("file:{},{}", next.display(), SoftHsm::uri(IN_TOKEN));
    let mut plan = Plan::new("rotation")
        .with("CERTFLEET_KEK_OTHERS", others)
        .with("CERTFLEET_PKCS11_MODULE", text(&SoftHsm::module()))
        .with("CERTFLEET_PKCS11_PIN_FILE", text(&hsm.pin_file()));
    plan.environment.push(hsm.environment());
    plan.worker = WORKERS;
    let many = setting.scale.of(2_000, 100_000);
    let kills = setting.scale.of(2, 50);
    let ground = Ground::start(plan).await?;
    ground
        .carry_out(async |ground| {
            let mut figures = Figures::default();
            let stage = Stage::set(ground, &next).await?;
            stage.fill(many).await?;
            figures.add("secrets", many);
            let load = Load::start(ground, CLIENTS, Clients::Retrying).await?;
            let rotations = stage.kill_while_rotating(kills).await?;
            figures.add("workers killed while they sealed anew", kills);
            figures.add("rotations begun meanwhile", rotations);
            // To the end, and back.
            for (kek, what) in [
                (1, "to the other file took"),
                (TOKEN, "into the token took"),
                (0, "back to the first file took"),
            ] {
                let began = Instant::now();
                let answer = stage.rotate(kek, &[])?;
                ensure!(answer["left"] == 0, "something is left: {answer}");
                figures.add(what, format!("{:.1} s", began.elapsed().as_secs_f64()));
                ensure!(stage.left(kek).await? == 0, "something is left after all");
                if kek != TOKEN {
                    stage.all_open_under(kek, many).await?;
                }
            }
            figures.add("secrets that are left under another, or do not open", 0);
            let records = load.finish().await?;
            all_is_right(ground, &records, &mut figures).await?;
            Ok(figures)
        })
        .await
}

/// The KEKs, of which two are in files, and where secrets lie.
struct Stage<'g> {
    ground: &'g Ground,
    secrets: Collection<Document>,
    files: [&'g Path; 2],
    keks: [KekId; 3],
}

impl<'g> Stage<'g> {
    async fn set(ground: &'g Ground, next: &'g Path) -> Result<Self> {
        let client = Client::with_uri_str(ground.mongo_uri()).await?;
        let database = client.database(ground.database_name());
        let files = [ground.kek_file(), next];
        let id = |file| Ok::<_, anyhow::Error>(only(file)?.current().clone());
        Ok(Self {
            ground,
            secrets: database.collection(SECRETS),
            keks: [
                id(files[0])?,
                id(files[1])?,
                format!("pkcs11:{}/{IN_TOKEN}", SoftHsm::TOKEN).parse()?,
            ],
            files,
        })
    }

    fn place(&self, name: &str) -> Place {
        Place::new(self.ground.database_name(), SECRETS, name, SEALED)
    }

    /// So many secrets under the first KEK, each of them its own name.
    async fn fill(&self, many: usize) -> Result<()> {
        let keyring = only(self.files[0])?;
        let mut batch = Vec::new();
        for number in 0..many {
            let name = format!("{FILLER}{number}");
            let secret = Secret::new(name.clone().into_bytes());
            let place = self.place(&name);
            let sealed = keyring.seal(&place, &secret, &mut SystemRng).await?;
            let bytes = Binary {
                subtype: BinarySubtype::Generic,
                bytes: sealed.as_bytes().to_vec(),
            };
            batch.push(doc! { "_id": name, "kek": sealed.kek().as_str(), SEALED: bytes });
            if batch.len() == 1_000 || number + 1 == many {
                self.secrets.insert_many(std::mem::take(&mut batch)).await?;
            }
        }
        Ok(())
    }

    /// Has this KEK seal, and waits as it says.
    fn rotate(&self, kek: usize, how: &[&str]) -> Result<Value> {
        let id = self.keks[kek].as_str();
        let what = ["kek", "rotate", "--to", id, "--json"];
        let output = self.ground.certfleet(&[&what, how].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kek rotate: {said}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Kills workers by turns when they have sealed anew, and when they have stored it. Whenever nothing is left, the other
    /// KEK is to seal. Gives how often that was.
    async fn kill_while_rotating(&self, kills: usize) -> Result<usize> {
        let points = Points::of(self.ground, "certfleet-worker");
        let (mut kek, mut rotations) = (1, 1);
        for point in POINTS.iter().cycle().take(kills) {
            points.arm(*point, Strike::Kill)?;
            let until = Instant::now() + PATIENCE;
            while points.struck(*point)?.is_none() {
                ensure!(Instant::now() < until, "nothing is sealed anew");
                if self.left(kek).await? == 0 {
                    kek = 1 - kek;
                    rotations += 1;
                }
                // Asked again, a worker begins at once: the one that was killed does not.
                self.rotate(kek, &["--detach"])?;
                sleep(PAUSE).await;
            }
        }
        Ok(rotations)
    }

    /// How many secrets are under another KEK than this.
    async fn left(&self, kek: usize) -> Result<u64> {
        let others = doc! { "kek": { "$ne": self.keks[kek].as_str() } };
        Ok(self.secrets.count_documents(others).await?)
    }

    /// Opens every secret with this KEK and no other.
    async fn all_open_under(&self, kek: usize, many: usize) -> Result<()> {
        let keyring = only(self.files[kek])?;
        let mut found = self.secrets.find(doc! {}).await?;
        let (mut services, mut fillers) = (0, 0);
        while let Some(document) = found.try_next().await? {
            let name = document.get_str("_id").context("no name")?;
            let sealed = Sealed::from_bytes(document.get_binary_generic(SEALED)?.clone())?;
            let place = self.place(name);
            let secret = keyring.open(&place, &sealed, Purpose::ProveKek).await?;
            if name.starts_with(FILLER) {
                ensure!(secret.expose() == name.as_bytes(), "{name} is another");
                fillers += 1;
            } else {
                services += 1;
            }
        }
        ensure!(fillers == many, "{fillers} of {many} are there");
        ensure!(services > 0, "there is no secret of a service");
        Ok(())
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A keyring with the KEK of this file, and no other.
fn only(file: &Path) -> Result<Keyring> {
    Ok(Keyring::new(Arc::new(read_kek_file(file)?), Vec::new())?)
}
