// supabase-js as a browser would use it: PKCE, refresh, metadata, a refusal, an administrator.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.cwd() + "/package.json");
const { createClient } = require("@supabase/supabase-js");

const { API_URL, ANON_KEY, SERVICE_ROLE_KEY, EMAIL, PASSWORD } = process.env;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const options = { auth: { flowType: "pkce", autoRefreshToken: false, persistSession: false } };
const { auth } = createClient(API_URL, ANON_KEY, options);
const { auth: admin } = createClient(API_URL, SERVICE_ROLE_KEY, options);
const seen = {};

const signedUp = await auth.signUp({ email: EMAIL, password: PASSWORD });
seen.confirmed = Boolean(signedUp.data.session);
console.log("mailed");
const code = (await lines.next()).value;
const exchanged = await auth.exchangeCodeForSession(code);
seen.email = exchanged.data.user?.email;
seen.refreshed = !(await auth.refreshSession()).error;
seen.claims = (await auth.getClaims()).data?.claims.email;
seen.metadata = (await auth.updateUser({ data: { desk: 2 } })).data.user?.user_metadata.desk;
seen.same = (await auth.updateUser({ password: PASSWORD })).error?.code;
const weak = (await auth.updateUser({ password: "x" })).error;
seen.weak = [weak?.name, weak?.reasons];
const listed = await admin.admin.listUsers({ page: 1, perPage: 1 });
seen.listed = [listed.data.users.length, listed.data.total];
const made = await admin.admin.generateLink({ type: "magiclink", email: EMAIL });
const verified = await auth.verifyOtp({ type: "magiclink", token_hash: made.data.properties.hashed_token });
seen.verified = verified.data.user?.email;
seen.signedOut = !(await auth.signOut()).error;
seen.anonymous = (await auth.signInAnonymously()).data.user?.is_anonymous;
console.log(JSON.stringify(seen));
process.exit(0);
