/* What a build for tests adds to the catalogue, for sagas of its own: a header that defines
 * MORE_MESSAGES(X) and MORE_FIELDS(X), named by KASSA_CATALOGUE_MORE. Nothing else defines that. */
#ifndef KASSA_CATALOGUE_MORE_H
#define KASSA_CATALOGUE_MORE_H

#ifdef KASSA_CATALOGUE_MORE
#include KASSA_CATALOGUE_MORE
#else
#define MORE_MESSAGES(X)
#define MORE_FIELDS(X)
#endif

#endif
