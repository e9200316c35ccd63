// Drives the npm package acme-client, unmodified, one step per run: `node acme-client.mjs STEP [ARGUMENTS AS JSON]`.
//
// The account lives in the working directory (`account.pem`, `account.url`), as do the certificates (`NAME.pem`,
// `NAME.key`). From the environment: ACME_CLIENT is the directory whose node_modules has the package, DIRECTORY the URL
// of the ACME directory, CHALLENGES the URL that challenge answers are posted to.

import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';

const { ACME_CLIENT, DIRECTORY, CHALLENGES } = process.env;
const acme = createRequire(`${ACME_CLIENT}/`)('acme-client');
acme.setLogger((line) => console.error(line));

async function newClient({ known = true } = {}) {
    return new acme.Client({
        directoryUrl: DIRECTORY,
        accountKey: await readFile('account.pem'),
        accountUrl: known ? await readFile('account.url', 'utf8') : undefined,
        // The default of five seconds between two looks is meant for authorities that are far away.
        backoffMin: 250,
    });
}

async function post(path, body) {
    const answer = await fetch(`${CHALLENGES}/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

const txt = (authorization) => `_acme-challenge.${authorization.identifier.value}.`;

async function answer(authorization, challenge, keyAuthorization) {
    if (challenge.type === 'http-01') {
        await post('add-http01', { token: challenge.token, content: keyAuthorization });
    } else {
        await post('present', { fqdn: txt(authorization), value: keyAuthorization });
    }
}

async function withdraw(authorization, challenge, keyAuthorization) {
    if (challenge.type === 'http-01') {
        await post('del-http01', { token: challenge.token });
    } else {
        // This one only: the proof of a wildcard has the same name as that of its base, and may still be looked at.
        await post('cleanup', { fqdn: txt(authorization), value: keyAuthorization });
    }
}

// What `client.auto` does, for what it cannot ask for: IP addresses and profiles.
async function byHand(client, { names, challenge: type, profile, csr }) {
    const identifiers = names.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }));
    const order = await client.createOrder({ identifiers, profile });
    for (const authorization of await client.getAuthorizations(order)) {
        if (authorization.status === 'valid') continue;
        const challenge = authorization.challenges.find((offered) => offered.type === type);
        const keyAuthorization = await client.getChallengeKeyAuthorization(challenge);
        await answer(authorization, challenge, keyAuthorization);
        await client.completeChallenge(challenge);
        await client.waitForValidStatus(challenge);
        await withdraw(authorization, challenge, keyAuthorization);
    }
    return client.getCertificate(await client.finalizeOrder(order, csr));
}

const steps = {
    async register({ email }) {
        await writeFile('account.pem', await acme.crypto.createPrivateEcdsaKey('P-256'));
        const client = await newClient({ known: false });
        await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] });
        await writeFile('account.url', client.getAccountUrl());
    },

    async update({ email }) {
        const account = await (await newClient()).updateAccount({ contact: [`mailto:${email}`] });
        console.log(account.contact.join());
    },

    async rollover() {
        const key = await acme.crypto.createPrivateRsaKey(2048);
        await (await newClient()).updateAccountKey(key);
        await writeFile('account.pem', key);
    },

    async issue({ file, names, key, challenge, profile }) {
        const make = key === 'rsa' ? acme.crypto.createPrivateRsaKey : acme.crypto.createPrivateEcdsaKey;
        const [privateKey, csr] = await acme.crypto.createCsr({ altNames: names }, await make());
        const client = await newClient();
        const chain = profile || names.some(isIP)
            ? await byHand(client, { names, challenge, profile, csr })
            : await client.auto({
                csr,
                challengePriority: [challenge],
                challengeCreateFn: answer,
                challengeRemoveFn: withdraw,
                // It would ask the system's resolver, which does not know the names of a test.
                skipChallengeVerification: true,
            });
        await writeFile(`${file}.key`, privateKey);
        await writeFile(`${file}.pem`, chain);
    },

    async revoke({ file, reason }) {
        await (await newClient()).revokeCertificate(await readFile(`${file}.pem`), { reason });
    },

    async deactivate() {
        const account = await (await newClient()).updateAccount({ status: 'deactivated' });
        console.log(account.status);
    },
};

const [step, json = '{}'] = process.argv.slice(2);
await steps[step](JSON.parse(json));
