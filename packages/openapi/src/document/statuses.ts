/** What an error status says, where nothing better is known. */

interface StatusText {
  /** Of the component, as in RFC 9110. */
  readonly name: string;
  readonly description: string;
}

export function describeStatus(status: number): StatusText {
  return texts[status] ?? { name: `Status${status}`, description: "The call failed." };
}

const texts: Readonly<Record<number, StatusText>> = {
  400: { name: "BadRequest", description: "The request cannot be read." },
  401: { name: "Unauthorized", description: "The credentials are missing or wrong." },
  403: { name: "Forbidden", description: "The caller may not do this." },
  404: { name: "NotFound", description: "There is nothing with this id." },
  405: { name: "MethodNotAllowed", description: "The path is served with another method; `Allow` says which." },
  408: { name: "RequestTimeout", description: "The answer did not come in time." },
  409: { name: "Conflict", description: "The call contradicts what exists." },
  412: { name: "PreconditionFailed", description: "What the call builds on does not hold any more." },
  413: { name: "ContentTooLarge", description: "The body is over the limit." },
  415: { name: "UnsupportedMediaType", description: "The body is in a format, charset or encoding that is not read." },
  422: { name: "UnprocessableContent", description: "A field does not satisfy its schema; `issues` names each." },
  429: { name: "TooManyRequests", description: "There were too many calls. `Retry-After` says when to come back." },
  499: { name: "ClientClosedRequest", description: "The call was cancelled." },
  500: { name: "InternalServerError", description: "Something went wrong inside the server." },
  502: { name: "BadGateway", description: "What the server asked in turn has failed." },
  503: { name: "ServiceUnavailable", description: "The server cannot answer at the moment. Try again." },
  504: { name: "GatewayTimeout", description: "What the server asked in turn did not answer in time." },
};
