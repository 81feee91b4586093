/** The images of a conversation, in order, as `runs.spawn` takes them. */
import { type Image, schemas } from "@ksi/contract";
import { invalidParam } from "./errors.ts";

export interface ImageList {
  readonly images: readonly Image[];
  /** Where each came from, such as `messages[0].content[1].image_url`. */
  readonly params: readonly string[];
  /** Takes a data URI and gives the text that stands for the image in a prompt: `[image 1]`. */
  add(dataUri: string, param: string): string;
}

/** `INVALID_INPUT` for what is not a data URI in base64 of a type that is taken. The base64 itself is not looked at. */
export function createImageList(): ImageList {
  const images: Image[] = [];
  const params: string[] = [];
  return {
    images,
    params,
    add(dataUri, param) {
      const comma = dataUri.indexOf(",");
      const [type = "", ...parameters] = dataUri.slice("data:".length, comma).toLowerCase().split(";");
      const media = schemas.image.shape.media_type.safeParse(type === "image/jpg" ? "image/jpeg" : type);
      if (comma === -1 || parameters.at(-1) !== "base64" || !media.success) {
        throw invalidParam(param, `must be data:{type};base64,… with one of ${schemas.imageMediaTypes.join(", ")}.`);
      }
      images.push({ media_type: media.data, data: dataUri.slice(comma + 1) });
      params.push(param);
      return `[image ${images.length}]`;
    },
  };
}
