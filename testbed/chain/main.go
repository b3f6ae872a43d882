// Judges a chain of certificates as Go programs do (istiod among them): may a peer show this leaf, at this time, to somebody who
// trusts these roots?
//
//	chain -roots root.pem -between ca.pem -at 1767225600 leaf.pem
package main

import (
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	roots := flag.String("roots", "", "the certificates that are trusted (PEM)")
	between := flag.String("between", "", "the certificates between the leaf and those (PEM)")
	at := flag.Int64("at", 0, "the time, in seconds since 1970")
	flag.Parse()
	if err := judge(*roots, *between, flag.Arg(0), time.Unix(*at, 0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(roots, between, leaf string, at time.Time) error {
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for file, pool := range map[string]*x509.CertPool{roots: options.Roots, between: options.Intermediates} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !pool.AppendCertsFromPEM(text) {
			return fmt.Errorf("%s holds no certificate", file)
		}
	}
	text, err := os.ReadFile(leaf)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s holds no certificate", leaf)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	_, err = certificate.Verify(options)
	return err
}
