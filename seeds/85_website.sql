-- The privacy policy as it is published at autexor.be, word for word, in Dutch and English.

insert into website.policy_versions (version, locale, published_on, sha256, body)
select '2026-02-23', locale, date '2026-02-23', encode(sha256(convert_to(body, 'UTF8')), 'hex'), body
  from (values
    ('nl', $policy$Privacy Policy
Hoe wij omgaan met uw gegevens
Laatst bijgewerkt: 23-2-2026
Privacy Policy — Autexor (Website + Autexor DMS + Client Portal App) — NL + EN
Nederlands (NL)
1. Over dit privacybeleid (scope)
Dit privacybeleid beschrijft hoe persoonsgegevens worden verwerkt in:
- De marketingwebsite
autexor.be(bv. paginaweergaves en contactaanvragen). - Autexor DMS (de garage-software, multi-tenant).
- De Client Portal App (de app voor voertuig-eigenaars/klanten van een garage).
Dit beleid beschrijft de werking zoals die bestaat op de datum van “Last updated”.
2. Wie is verantwoordelijk? (Controller vs Processor)
2.1 Marketingwebsite autexor.be
Voor persoonsgegevens verwerkt op autexor.be is Autexor Group BV de verwerkingsverantwoordelijke.
Contact: info@autexor.be
2.2 Autexor DMS (garage-software) en Client Portal App
Autexor DMS is een platform dat door garages/werkplaatsen wordt gebruikt.
- De garage/werkplaats (tenant) is de verwerkingsverantwoordelijke voor persoonsgegevens die zij in het DMS verwerkt (klanten, voertuigen, facturen, enz.).
- Autexor is de verwerker (platformleverancier) en verwerkt die gegevens enkel om de dienst te leveren, te beveiligen en te ondersteunen.
Bent u een voertuig-eigenaar/klant die uw gegevens wil inkijken, aanpassen of verwijderen? Neem dan eerst contact op met uw garage (de verantwoordelijke).
3. Welke gegevens verwerken we?
3.1 Websitebezoekers (autexor.be)
Afhankelijk van hoe u de website gebruikt, kunnen we o.a. verwerken:
- Contactgegevens die u zelf invult (bv. naam, e-mail, telefoon, bericht) in een formulier.
- Technische gegevens die nodig zijn om de website te leveren en te beveiligen (bv. IP-adres, user-agent/browserinformatie, datum/tijd en opgevraagde pagina’s).
3.2 Autexor DMS (door garages ingevoerde/gebruikte gegevens)
Het DMS kan (afhankelijk van modules en configuratie) o.a. volgende categorieën verwerken:
- Garage gebruikersaccounts (naam/e-mail/rol/permissions).
- Klantengegevens (naam, e-mail, telefoon, adres, BTW-nummer).
- Voertuiggegevens (nummerplaat, VIN, kilometerstand en aanverwante velden).
- Werkorders (taken, notities, eventuele foto’s).
- Facturen (bedragen, BTW, OGM, betaalstatus).
- Communicatie (e-mail/SMS/WhatsApp verzending en afleverstatus, inclusief inhoud of templating).
- Audit-/toegangslogs (wie deed wat/wanneer; toegangslogging).
- Telemetrie (client-side foutmeldingen met context zoals URL en user-agent).
3.3 Client Portal App (klanten van een garage)
De Client Portal App verwerkt o.a.:
Account & login
- E-mailadres (login identificatie; optioneel “remembered email” op toestel).
- Wachtwoord en PIN worden ingevoerd en server-side verwerkt; niet lokaal opgeslagen.
- Sessie-token (Client Portal JWT) wordt lokaal opgeslagen (SecureStore op iOS/Android; localStorage op web).
Apparaat/technisch (beveiliging)
- Per installatie een device-ID + een afgeleide fingerprint hash (device binding).
- On-device voorkeuren zoals “biometrie ingeschakeld” (geen biometrische templates; dit blijft OS-beheerd).
- Inactiviteitstimestamp voor auto-logout.
Gegevens getoond vanuit de garage (read-only via API)
- Profielgegevens (naam, e-mail, telefoon, adres, btw-nummer indien aanwezig).
- Voertuigen (nummerplaat, VIN, mileage, en aanverwante velden).
- Facturen en factuurlijnen (bedragen, BTW, betaalstatus, OGM, opmerkingen).
- Berichten tussen klant en garage (inhoud, tijdstip, read status).
PDF facturen (download)
- Indien de garage PDF-facturen bewaart, kan de app een downloadlink aanbieden via een tijdelijk ondertekende URL (signed URL) met korte vervaltijd.
4. Waarom verwerken we gegevens? (doeleinden)
Website:
- Beantwoorden van aanvragen en communicatie.
- Website werking, veiligheid en misbruikpreventie.
DMS en Client Portal (door Autexor als verwerker):
- Het leveren van de dienst (beheer van klanten/voertuigen/werkorders/facturen).
- Beveiliging (sessies, rate limiting, device binding, logging).
- Ondersteuning en foutopsporing (bv. error telemetry in de DMS webapp).
- Communicatiefunctionaliteit (berichten, pushmeldingen).
- PDF generatie en (optionele) opslag door de garage.
5. Rechtsgrond (GDPR)
Voor autexor.be kan de verwerking steunen op:
- Uitvoering van een overeenkomst / precontractuele stappen (bv. demo-aanvraag).
- Gerechtvaardigd belang (veiligheid, misbruikpreventie, basiswerking).
- Toestemming (voor niet-essentiële cookies/functionaliteit, indien gebruikt).
Voor Autexor DMS en de Client Portal App bepaalt de garage als verwerkingsverantwoordelijke de rechtsgrond. Autexor verwerkt als verwerker volgens instructies en contract.
6. Met wie delen we gegevens? (dienstverleners/subverwerkers)
We verkopen geen persoonsgegevens.
Afhankelijk van de gebruikte modules, kan data worden verwerkt door dienstverleners die nodig zijn voor de werking, zoals:
- Supabase (database, edge functions, realtime, storage en signed URLs).
- Expo (push infrastructuur en app runtime componenten).
- Firebase/FCM (Android push tokens/levering).
- Communicatieproviders (e-mail/SMS/WhatsApp) die door de garage via het platform worden geconfigureerd (server-side; API keys niet in de app).
7. Bewaring
We bewaren gegevens niet langer dan noodzakelijk voor de doeleinden en/of contractuele en wettelijke verplichtingen.
- Website-aanvragen: zolang nodig om opvolging te doen en voor redelijke administratieve opvolging.
- DMS/Client Portal: bewaartermijnen worden primair bepaald door de garage (bv. wettelijke bewaarplichten voor facturen).
8. Beveiliging
Voorbeelden van technische maatregelen in de huidige implementatie:
- TLS/HTTPS voor transport.
- Tenant-isolatie (multi-tenant filtering).
- Hashing van wachtwoorden/PIN server-side en bescherming tegen brute-force (rate limiting/lockouts).
- Private opslag + signed URLs voor downloads.
- Auto-logout bij inactiviteit (client-side).
9. Uw rechten
Afhankelijk van uw rol heeft u rechten onder de GDPR (inzage, rectificatie, verwijdering, beperking, bezwaar, dataportabiliteit).
- Voor
autexor.be: contacteer info@autexor.be. - Voor DMS/Client Portal gegevens: contacteer uw garage (verwerkingsverantwoordelijke). Autexor ondersteunt garages bij het uitvoeren van verzoeken als verwerker.
10. Wijzigingen
We kunnen dit beleid aanpassen. De “Last updated” datum wordt bijgewerkt.$policy$),
    ('en', $policy$English (EN)
1. About this Privacy Policy (scope)
This Privacy Policy describes how personal data is processed in:
- The marketing website
autexor.be. - Autexor DMS (multi-tenant garage software).
- The Client Portal App (the app for a garage’s customers/vehicle owners).
It is aligned with current, code-based inventories:
This policy describes the functionality as it exists on the “Last updated” date.
2. Who is responsible? (Controller vs Processor)
2.1 Website autexor.be
For personal data processed on autexor.be, Autexor Group BV is the data controller.
Contact: info@autexor.be
2.2 Autexor DMS + Client Portal App
For personal data stored/processed in Autexor DMS and made available to end customers via the Client Portal App:
- The garage/workshop (tenant) is the data controller.
- Autexor is the data processor (platform provider).
If you are a vehicle owner/customer and you want to exercise privacy rights, please contact your garage first.
3. What data do we process?
3.1 Website visitors (autexor.be)
Depending on usage, we may process:
- Contact details submitted via forms (e.g. name, email, phone, message).
- Technical data required to deliver and secure the website (e.g. IP address, user agent/browser info, timestamps, requested pages).
3.2 Autexor DMS (garage-entered/used data)
Depending on enabled modules and configuration, the DMS may process:
- Garage user accounts (name/email/role/permissions).
- Customer data (name, email, phone, address, VAT).
- Vehicle data (plate, VIN, mileage, related fields).
- Work orders (tasks, notes, optional photos).
- Invoices (amounts, VAT, structured references, paid/unpaid status).
- Communications (email/SMS/WhatsApp sending + delivery outcomes, including content/templates).
- Audit/access logs (who did what/when).
- Telemetry (client-side errors with context such as URL and user-agent).
3.3 Client Portal App (garage customers)
The Client Portal App processes:
Account & login
- Email address (login identifier; optional “remembered email” on device).
- Password and PIN are entered and processed server-side; not stored locally.
- Session token (Client Portal JWT) stored locally (SecureStore on iOS/Android; localStorage on web).
Device/technical (security)
- Per-install device id + derived fingerprint hash (device binding).
- On-device preferences such as “biometrics enabled” (no biometric templates are stored by the app).
- Inactivity timestamp used for auto-logout.
Read-only data shown from the garage via API
- Profile data (name, email, phone, address, VAT if present).
- Vehicles (plate, VIN, mileage, related fields).
- Invoices and invoice line items (amounts, VAT, payment status, structured references, notes).
- Messaging between customer and garage (content, timestamps, read status).
Invoice PDFs (download)
- If the garage stores invoice PDFs, the app can provide access via a short-lived signed URL.
4. Why do we process data? (purposes)
Website:
- Responding to requests and communications.
- Website operation, security, and abuse prevention.
DMS + Client Portal (as processor):
- Providing the service (customers/vehicles/work orders/invoices).
- Security (sessions, rate limiting, device binding, logging).
- Support and troubleshooting (e.g. error telemetry in the DMS web app).
- Communications (messaging, push notifications).
- PDF generation and (optional) storage by the garage.
5. Legal bases (GDPR)
For autexor.be, processing may rely on:
- Contract / pre-contract steps.
- Legitimate interests (security, abuse prevention, basic service operation).
- Consent (for non-essential cookies/features, if used).
For DMS + Client Portal data, the garage determines the legal basis. Autexor acts as processor under contract and instructions.
6. Sharing / subprocessors
We do not sell personal data.
Depending on features used, data may be processed by essential service providers such as:
- Supabase (database, edge functions, realtime, private storage, signed URLs).
- Expo (push infrastructure and app runtime components).
- Firebase/FCM (Android push delivery).
- Communication providers (email/SMS/WhatsApp) configured by the garage on the platform (server-side).
7. Retention
We keep data no longer than necessary for the purposes and applicable contractual/legal obligations.
- Website requests: as long as needed for follow-up and reasonable administrative handling.
- DMS/Client Portal: retention is primarily determined by the garage (e.g. invoice/accounting retention obligations).
8. Security
Examples of technical measures in the current implementation:
- TLS/HTTPS in transit.
- Tenant isolation (multi-tenant filtering).
- Server-side password/PIN hashing and brute-force protections (rate limiting/lockouts).
- Private storage + signed URLs for downloads.
- Auto-logout on inactivity (client-side).
9. Your rights
Depending on your situation, you may have GDPR rights (access, rectification, deletion, restriction, objection, portability).
- For
autexor.be: contact info@autexor.be. - For DMS/Client Portal data: contact your garage (data controller) first. Autexor supports the garage as processor.
10. Changes
We may update this policy and will update the “Last updated” date.$policy$)) as texts (locale, body)
on conflict do nothing;
