// Makes tokens.json beside it: tokens of go-jose, which distribution itself uses, under keys and certificates that go into
// the file as well. Private keys are not kept. `go mod init tokens && go mod tidy && go run . > tokens.json`
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/docker/libtrust"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var end = time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)
var serial = int64(1)

func cert(name string, pub crypto.PublicKey, ca bool, parent *x509.Certificate, signer crypto.Signer, eku []x509.ExtKeyUsage) *x509.Certificate {
	serial++
	t := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(1700000000, 0), NotAfter: end,
		IsCA: ca, BasicConstraintsValid: true, ExtKeyUsage: eku}
	if ca {
		t.KeyUsage = x509.KeyUsageCertSign
	}
	if parent == nil {
		parent = t
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, parent, pub, signer))))
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func token(alg jose.SignatureAlgorithm, key any, opts *jose.SignerOptions) string {
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts))
	claims := map[string]any{"iss": "the issuer", "aud": "the service", "sub": "joe", "exp": end.Unix(), "nbf": 1700000000, "iat": 1700000000, "jti": "1",
		"access": []access{{"repository", "team/app", []string{"pull"}}}}
	return must(jwt.Signed(signer).Claims(claims).Serialize())
}

func main() {
	r := must(rsa.GenerateKey(rand.Reader, 2048))
	e2 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	e3 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	out := map[string]any{}
	tokens := map[string]string{}
	var bundle strings.Builder
	add := func(c *x509.Certificate) { pem.Encode(&bundle, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) }
	thumb := func(k any) string {
		return base64.RawURLEncoding.EncodeToString(must((&jose.JSONWebKey{Key: k}).Thumbprint(crypto.SHA256)))
	}
	trust := func(k crypto.PublicKey) string { return must(libtrust.FromCryptoPublicKey(k)).KeyID() }
	head := func(k string, v any) *jose.SignerOptions {
		return (&jose.SignerOptions{}).WithType("JWT").WithHeader(jose.HeaderKey(k), v)
	}
	roots := map[string]*x509.Certificate{}
	for name, k := range map[string]crypto.Signer{"rsa": r, "p256": e2, "p384": e3, "ed25519": ed} {
		roots[name] = cert("root "+name, k.Public(), true, nil, k, nil)
		add(roots[name])
	}
	for _, a := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		tokens["thumbprint "+string(a)] = token(a, r, head("kid", thumb(r.Public())))
	}
	tokens["thumbprint ES256"] = token(jose.ES256, e2, head("kid", thumb(e2.Public())))
	tokens["thumbprint ES384"] = token(jose.ES384, e3, head("kid", thumb(e3.Public())))
	tokens["thumbprint EdDSA"] = token(jose.EdDSA, ed, head("kid", thumb(ed.Public())))
	tokens["libtrust RS256"] = token(jose.RS256, r, head("kid", trust(r.Public())))
	tokens["libtrust ES256"] = token(jose.ES256, e2, head("kid", trust(e2.Public())))
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("JWT")
	tokens["embedded ES256"] = token(jose.ES256, jose.JSONWebKey{Key: e2, KeyID: trust(e2.Public())}, opts)
	der := func(cs ...*x509.Certificate) (l []string) {
		for _, c := range cs {
			l = append(l, base64.StdEncoding.EncodeToString(c.Raw))
		}
		return
	}
	leafKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	midKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	mid := cert("intermediate", midKey.Public(), true, roots["rsa"], r, nil)
	leaf := cert("leaf", leafKey.Public(), false, mid, midKey, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning})
	tokens["x5c chain"] = token(jose.ES256, leafKey, head("x5c", der(leaf, mid)))
	tokens["x5c root"] = token(jose.RS256, r, head("x5c", der(roots["rsa"])))
	keys := jose.JSONWebKeySet{}
	jk := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	keys.Keys = append(keys.Keys, jose.JSONWebKey{Key: jk.Public(), KeyID: "../../etc/passwd", Use: "sig", Algorithm: "ES256"},
		jose.JSONWebKey{Key: r.Public(), KeyID: "rsa of the set"}, jose.JSONWebKey{Key: ed.Public(), KeyID: "ed of the set"},
		jose.JSONWebKey{Key: must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)).Public(), KeyID: "p521"})
	tokens["jwks ES256"] = token(jose.ES256, jk, head("kid", "../../etc/passwd"))
	tokens["jwks PS256"] = token(jose.PS256, r, head("kid", "rsa of the set"))
	tokens["jwks EdDSA"] = token(jose.EdDSA, ed, head("kid", "ed of the set"))
	bad := map[string]string{}
	otherKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := cert("root rsa", otherKey.Public(), true, nil, otherKey, nil)
	foreign := cert("leaf", leafKey.Public(), false, other, otherKey, nil)
	bad["x5c of another CA"] = token(jose.ES256, leafKey, head("x5c", der(foreign, other)))
	bad["x5c signed by a leaf"] = token(jose.ES256, otherKey, head("x5c", der(cert("x", otherKey.Public(), false, leaf, leafKey, nil), leaf, mid)))
	bad["x5c without the intermediate"] = token(jose.ES256, leafKey, head("x5c", der(leaf)))
	bad["x5c of somebody else's key"] = token(jose.ES256, otherKey, head("x5c", der(leaf, mid)))
	bad["embedded foreign key"] = token(jose.ES256, jose.JSONWebKey{Key: otherKey, KeyID: "mine"}, opts)
	bad["embedded foreign key under a trusted id"] = token(jose.ES256, jose.JSONWebKey{Key: otherKey, KeyID: trust(e2.Public())}, opts)
	bad["unknown key"] = token(jose.ES256, otherKey, head("kid", "unknown"))
	bad["no key named"] = token(jose.ES256, e2, (&jose.SignerOptions{}).WithType("JWT"))
	bad["ES384 key of the bundle as ES256"] = token(jose.ES256, e2, head("kid", thumb(e3.Public())))
	spki := must(x509.MarshalPKIXPublicKey(r.Public()))
	bad["HS256 with the public key"] = token(jose.HS256, spki, head("kid", thumb(r.Public())))
	bad["HS256 with the public key in PEM"] = token(jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), head("kid", thumb(r.Public())))
	bad["HS256 with the certificate"] = token(jose.HS256, roots["rsa"].Raw, head("x5c", der(roots["rsa"])))
	out["made_by"] = "github.com/go-jose/go-jose/v4, kids by it and by github.com/docker/libtrust"
	out["bundle"] = bundle.String()
	out["jwks"] = keys
	out["good"] = tokens
	out["bad"] = bad
	b := must(json.MarshalIndent(out, "", " "))
	fmt.Fprintln(os.Stdout, string(b))
}
