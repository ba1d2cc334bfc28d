# SPDX-License-Identifier: Apache-2.0
#
# Turns a BPF object into a header with its bytes: cmake -DOBJECT= -DHEADER= -DNAME= -P embed.cmake
file(READ ${OBJECT} content HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," content "${content}")
file(WRITE ${HEADER} "// Generated from ${NAME}.\n#pragma once\n"
     "alignas(8) inline constexpr unsigned char ${NAME}_bytes[] = {${content}};\n")
