// The two AWS SDKs for Go: a command a line on standard input, an answer a line.
//
// In: {sdk, api, operation, input, config}. Out: {result} or {error}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/cognitoidentity"
	"github.com/aws/aws-sdk-go/service/cognitosync"
	"github.com/aws/aws-sdk-go/service/kinesis"

	aws2 "github.com/aws/aws-sdk-go-v2/aws"
	credentials2 "github.com/aws/aws-sdk-go-v2/credentials"
	cognitoidentity2 "github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	cognitosync2 "github.com/aws/aws-sdk-go-v2/service/cognitosync"
	kinesis2 "github.com/aws/aws-sdk-go-v2/service/kinesis"
	types2 "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type command struct {
	Sdk       string
	Api       string
	Operation string
	Input     json.RawMessage
	Config    struct {
		Endpoint    string
		Region      string
		Credentials *struct {
			AccessKeyId     string
			SecretAccessKey string
			SessionToken    string
		}
	}
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Status  int    `json:"status"`
	// Whether it has the type of its own that an app would catch.
	Typed bool `json:"typed"`
}

func v1Client(c command) interface{} {
	keys := credentials.AnonymousCredentials
	if given := c.Config.Credentials; given != nil {
		keys = credentials.NewStaticCredentials(
			given.AccessKeyId, given.SecretAccessKey, given.SessionToken)
	}
	made := session.Must(session.NewSession(&aws.Config{
		Endpoint:    aws.String(c.Config.Endpoint),
		Region:      aws.String(c.Config.Region),
		Credentials: keys,
	}))
	switch c.Api {
	case "sync":
		return cognitosync.New(made)
	case "identity":
		return cognitoidentity.New(made)
	}
	return kinesis.New(made)
}

func v2Client(c command) interface{} {
	var keys aws2.CredentialsProvider = aws2.AnonymousCredentials{}
	if given := c.Config.Credentials; given != nil {
		keys = credentials2.NewStaticCredentialsProvider(
			given.AccessKeyId, given.SecretAccessKey, given.SessionToken)
	}
	config := aws2.Config{
		Region:      c.Config.Region,
		Credentials: keys,
		EndpointResolverWithOptions: aws2.EndpointResolverWithOptionsFunc(
			func(service, region string, _ ...interface{}) (aws2.Endpoint, error) {
				// Without the region it would sign for none.
				return aws2.Endpoint{URL: c.Config.Endpoint, SigningRegion: region}, nil
			}),
	}
	switch c.Api {
	case "sync":
		return cognitosync2.NewFromConfig(config)
	case "identity":
		return cognitoidentity2.NewFromConfig(config)
	}
	return kinesis2.NewFromConfig(config)
}

// The events of a subscription, up to the one that says that nothing is left.

func readEventsV1(stream *kinesis.SubscribeToShardEventStream) (interface{}, error) {
	defer stream.Close()
	found := []interface{}{}
	for event := range stream.Events() {
		if e, right := event.(*kinesis.SubscribeToShardEvent); right {
			found = append(found, e)
			if *e.MillisBehindLatest == 0 {
				break
			}
		}
	}
	return map[string]interface{}{"EventStream": found}, stream.Err()
}

func readEventsV2(stream *kinesis2.SubscribeToShardEventStream) (interface{}, error) {
	defer stream.Close()
	found := []interface{}{}
	for event := range stream.Events() {
		if e, right := event.(*types2.SubscribeToShardEventStreamMemberSubscribeToShardEvent); right {
			found = append(found, e.Value)
			if *e.Value.MillisBehindLatest == 0 {
				break
			}
		}
	}
	return map[string]interface{}{"EventStream": found}, stream.Err()
}

func perform(c command) (interface{}, error) {
	var method reflect.Value
	var before []reflect.Value
	if c.Sdk == "v1" {
		method = reflect.ValueOf(v1Client(c)).MethodByName(c.Operation)
	} else {
		method = reflect.ValueOf(v2Client(c)).MethodByName(c.Operation)
		before = []reflect.Value{reflect.ValueOf(context.Background())}
	}
	input := reflect.New(method.Type().In(len(before)).Elem())
	if err := json.Unmarshal(c.Input, input.Interface()); err != nil {
		return nil, err
	}
	answers := method.Call(append(before, input))
	if err, failed := answers[1].Interface().(error); failed {
		return nil, err
	}
	switch output := answers[0].Interface().(type) {
	case *kinesis.SubscribeToShardOutput:
		return readEventsV1(output.GetStream())
	case *kinesis2.SubscribeToShardOutput:
		return readEventsV2(output.GetStream())
	default:
		return output, nil
	}
}

func tellError(err error) failure {
	var v1 awserr.RequestFailure
	if errors.As(err, &v1) {
		typed := strings.HasSuffix(reflect.TypeOf(v1).String(), "."+v1.Code())
		return failure{v1.Code(), v1.Message(), v1.StatusCode(), typed}
	}
	var v2 smithy.APIError
	if errors.As(err, &v2) {
		told := failure{Code: v2.ErrorCode(), Message: v2.ErrorMessage()}
		_, generic := v2.(*smithy.GenericAPIError)
		told.Typed = !generic
		var answer *smithyhttp.ResponseError
		if errors.As(err, &answer) {
			told.Status = answer.HTTPStatusCode()
		}
		return told
	}
	return failure{Code: reflect.TypeOf(err).String(), Message: err.Error()}
}

// Leave out what is not there: the SDKs' structures have all members.
func strip(value interface{}) interface{} {
	switch of := value.(type) {
	case map[string]interface{}:
		delete(of, "ResultMetadata")
		for name, each := range of {
			if each == nil {
				delete(of, name)
			} else {
				of[name] = strip(each)
			}
		}
	case []interface{}:
		for index, each := range of {
			of[index] = strip(each)
		}
	}
	return value
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var c command
		answer := map[string]interface{}{}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			panic(err)
		}
		if result, err := perform(c); err != nil {
			answer["error"] = tellError(err)
		} else {
			var plain interface{}
			text, _ := json.Marshal(result)
			_ = json.Unmarshal(text, &plain)
			answer["result"] = strip(plain)
		}
		if err := answers.Encode(answer); err != nil {
			panic(err)
		}
	}
}
