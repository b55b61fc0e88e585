// A device that runs in Node: a command a line on standard input, an answer a line.
"use strict";

const AWS = require("aws-sdk");
require("amazon-cognito-js"); // adds itself to the SDK
const { makeDevice } = require("./device.js");
const { answerLines } = require("./lines.js");

answerLines(makeDevice(AWS, AWS.CognitoSyncManager.StoreInMemory));
