"""Protobuf written and read by hand, for benchmarks that speak xDS as no library would."""


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number % 128 | 128)
        number //= 128
    out.append(number)
    return bytes(out)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def fields(message):
    """The fields of a message whose contents are bytes, as pairs."""
    at = 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(message):
        key = read()
        if key & 7 == 2:
            length = read()
            yield key >> 3, message[at : at + length]
            at += length
        elif key & 7 == 0:
            read()
        else:
            at += {1: 8, 5: 4}[key & 7]
