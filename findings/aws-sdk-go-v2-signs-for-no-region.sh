#!/usr/bin/env bash
# The AWS SDK for Go v2 signs for no region when an endpoint resolver of one's own gives a URL alone.
#
# Versions   aws-sdk-go-v2 1.17.1 and smithy-go 1.13.3 of Debian 12, Go 1.19.8. Needs apt-get and dpkg-deb.
# One would guess that a client made for a region signs for that region wherever it is pointed to, as
#            version 1 of the SDK, boto3 and the SDK for JavaScript do; the more so as a URL alone
#            is all that the helper of each service, EndpointResolverFromURL, asks for.
# Seen       By EndpointResolverWithOptions, which the configuration has for all services at once, a
#            URL alone leaves the region in the scope of the signature empty: whoever looks at the
#            scope refuses every call. SigningRegion has to be said beside the URL. By the helper the same URL is
#            signed for the client's region.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq golang-1.19-go=1.19.8-2 golang-1.19-src=1.19.8-2 \
  golang-github-aws-aws-sdk-go-v2-dev=1.17.1-3 golang-github-aws-smithy-go-dev=1.13.3-2
for each in *.deb; do dpkg-deb -x "$each" root; done
cat >try.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cognitosync"
)

func main() {
	var scope string
	server := httptest.NewServer(http.HandlerFunc(
		func(answer http.ResponseWriter, request *http.Request) {
			header := request.Header.Get("Authorization")
			scope = strings.Split(strings.Split(header, "Credential=")[1], ",")[0]
			answer.Write([]byte("{}"))
		}))
	defer server.Close()
	config := aws.Config{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}
	ask := func(client *cognitosync.Client) string {
		_, err := client.ListIdentityPoolUsage(
			context.Background(), &cognitosync.ListIdentityPoolUsageInput{})
		if err != nil {
			panic(err)
		}
		return strings.Join(strings.Split(scope, "/")[2:4], "/")
	}
	helped := ask(cognitosync.NewFromConfig(config,
		cognitosync.WithEndpointResolver(cognitosync.EndpointResolverFromURL(server.URL))))
	config.EndpointResolverWithOptions = aws.EndpointResolverWithOptionsFunc(
		func(service, region string, _ ...interface{}) (aws.Endpoint, error) {
			return aws.Endpoint{URL: server.URL}, nil
		})
	own := ask(cognitosync.NewFromConfig(config))
	fmt.Printf("EndpointResolverFromURL: %q\na resolver of one's own: %q\n", helped, own)
	if helped != "eu-west-1/cognito-sync" || own != "/cognito-sync" {
		os.Exit(1)
	}
}
GO
export GOROOT="$folder/root/usr/lib/go-1.19" GOPATH="$folder/root/usr/share/gocode" \
  GO111MODULE=off GOCACHE="$folder/cache" CGO_ENABLED=0
"$GOROOT/bin/go" run try.go
